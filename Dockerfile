# A gateway in a container. The first stage compiles SQLite for the image's own C library; the second has no compiler.
FROM node:20-bookworm AS build
WORKDIR /grapevine
COPY package.json package-lock.json .npmrc ./
RUN npm install
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY compat compat
COPY migration migration
COPY bin bin
COPY ui ui
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /grapevine
COPY --from=build /grapevine/package.json ./
COPY --from=build /grapevine/node_modules node_modules
COPY --from=build /grapevine/dist dist
COPY --from=build /grapevine/ui ui
RUN ln -s /grapevine/dist/bin/grapevine.js /usr/local/bin/grapevine \
  && mkdir -p /var/lib/grapevine && chown node:node /var/lib/grapevine
USER node
VOLUME /var/lib/grapevine
# HTTP, DNS, gossip inside the datacenter and between datacenters
EXPOSE 8500 8600/tcp 8600/udp 8301/tcp 8301/udp 8302/tcp 8302/udp
HEALTHCHECK --interval=10s --timeout=3s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8500/v1/status/leader').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["grapevine"]
CMD ["agent", "-server", "-bootstrap", "-data-dir=/var/lib/grapevine", "-client=0.0.0.0"]
