import express, { type Express, type RequestHandler } from 'express';
import type { Dispatcher } from './dispatcher.ts';

/**
 * The long tail of the API, behind whatever middleware and pages the gateway mounts before it. Express carries
 * what is rare; see `Dispatcher.tryHot` for what is not.
 */
export function createExpressApp(dispatcher: Dispatcher, mounts: readonly RequestHandler[] = []): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  for (const mount of mounts) app.use(mount);
  app.use((req, res) => dispatcher.handle(req, res, () => dispatcher.notFound(req, res)));
  return app;
}
