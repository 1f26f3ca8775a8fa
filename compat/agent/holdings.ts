import { checkValue, getCheck, getService, serviceValue } from '../../src/state/catalog.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import type { CheckValue, ServiceValue } from '../../src/state/values.ts';
import type { CheckDefinition } from '../checks/definition.ts';
import type { CheckResult } from '../checks/output-throttle.ts';
import { isCheckStatus } from '../checks/thresholds.ts';
import type { Definitions } from './definitions.ts';
import {
  checkValueOf,
  decodeHeldCheck,
  decodeHeldService,
  firstResult,
  type HeldCheck,
  type HeldService,
} from './held.ts';
import { IdMap } from './id-map.ts';
import type { Source } from './port.ts';
import { checkDelete, serviceDelete, type RegisterDelete } from './registers.ts';
import { missingService } from './texts.ts';

/** What taking definitions over came to: registers that are not needed any more, checks that are held no more. */
export interface Replaced {
  readonly deletes: readonly RegisterDelete[];
  readonly droppedChecks: readonly string[];
}

/** The services and checks that an agent holds, without anything that runs. */
export class Holdings {
  readonly services = new IdMap<HeldService>();
  readonly checks = new IdMap<HeldCheck>();
  readonly #view: ReadView;
  readonly #node: string;
  readonly #running: (checkId: string) => CheckResult | undefined;

  /** `running` answers what a check shows now, if it runs: ahead of what is published of it. */
  constructor(view: ReadView, node: string, running: (checkId: string) => CheckResult | undefined) {
    this.#view = view;
    this.#node = node;
    this.#running = running;
  }

  /** Takes what the store holds; answers the registers that cannot be held any more, with the reasons. */
  load(definitions: Definitions): readonly { readonly register: RegisterDelete; readonly why: string }[] {
    const orphans: { readonly register: RegisterDelete; readonly why: string }[] = [];
    for (const row of this.#view.range(Kind.agentService, '', undefined)) {
      if (row.value === null) continue;
      const value = decodeHeldService(row.value, this.#node);
      this.services.set(value.id, { value, source: 'api' });
    }
    const configured = new Set(definitions.services.map(({ service }) => service.id));
    for (const row of this.#view.range(Kind.agentCheck, '', undefined)) {
      if (row.value === null) continue;
      const register: RegisterDelete = { kind: Kind.agentCheck, key: row.key };
      const stored = decodeHeldCheck(row.value);
      if (!stored.ok) {
        orphans.push({ register, why: stored.error });
        continue;
      }
      const { definition, maintenance } = stored.value;
      const { serviceId } = definition;
      if (serviceId !== '' && !this.services.has(serviceId) && !configured.has(serviceId)) {
        orphans.push({ register, why: missingService(serviceId) });
        continue;
      }
      const published = firstResult(definition, this.#catalogResult(definition));
      this.checks.set(definition.checkId, { definition, maintenance, source: 'api', published });
    }
    return orphans;
  }

  /** What the catalog last showed of a check: where it goes on after a restart. */
  #catalogResult({ checkId, serviceId }: CheckDefinition): CheckResult | undefined {
    const row = getCheck(this.#view, this.#node, checkId);
    if (row === undefined) return undefined;
    const value = checkValue(row);
    if (value.serviceId !== serviceId || !isCheckStatus(value.status)) return undefined;
    return { status: value.status, output: value.output };
  }

  /** A sentence on the first configured check whose service neither the configuration nor a registration has. */
  missingService(definitions: Definitions): string | undefined {
    const given = new Set(definitions.services.map(({ service }) => service.id));
    for (const { checkId, serviceId } of definitions.checks) {
      if (serviceId === '' || given.has(serviceId)) continue;
      if (this.services.get(serviceId)?.source === 'api') continue;
      return `Failed to register check ${JSON.stringify(checkId)}: ${missingService(serviceId)}`;
    }
    return undefined;
  }

  /**
   * Holds the configuration's services and checks, which win over registered ones of the same id, and drops what the
   * configuration no longer has.
   */
  applyDefinitions(definitions: Definitions): Replaced {
    const deletes: RegisterDelete[] = [];
    const droppedChecks: string[] = [];
    const wantedServices = new Set(definitions.services.map(({ service }) => service.id));
    const wantedChecks = [...definitions.services.flatMap(({ checks }) => checks), ...definitions.checks];
    const wantedCheckIds = new Set(wantedChecks.map(({ checkId }) => checkId));
    for (const [id, { source }] of [...this.services.entries()]) {
      if (source === 'config' && !wantedServices.has(id)) droppedChecks.push(...this.dropService(id));
    }
    // A check that was registered on a service which went away goes with it, register and all.
    deletes.push(...droppedChecks.map(checkDelete));
    for (const [id, { source }] of [...this.checks.entries()]) {
      if (source !== 'config' || wantedCheckIds.has(id)) continue;
      this.checks.delete(id);
      droppedChecks.push(id);
    }
    for (const { service } of definitions.services) {
      deletes.push(serviceDelete(service.id));
      this.services.set(service.id, { value: { ...service, node: this.#node }, source: 'config' });
    }
    for (const definition of wantedChecks) {
      deletes.push(checkDelete(definition.checkId));
      this.holdCheck(definition, 'config');
    }
    return { deletes, droppedChecks };
  }

  /** EnableTagOverride: whoever changed the tags in the catalog wins over the registration. */
  adoptTags(): void {
    for (const [id, held] of [...this.services.entries()]) {
      if (!held.value.enableTagOverride) continue;
      const row = getService(this.#view, this.#node, id);
      if (row === undefined) continue;
      const { tags } = serviceValue(row);
      if (JSON.stringify(tags) === JSON.stringify(held.value.tags)) continue;
      this.services.set(id, { ...held, value: { ...held.value, tags } });
    }
  }

  /** Holds a check. One that was there keeps what it shows, whatever Status says, as in Consul. */
  holdCheck(definition: CheckDefinition, source: Source): HeldCheck {
    const before = this.checks.get(definition.checkId);
    let shown = before === undefined ? undefined : this.shown(before);
    // A configured check is known by its definition alone: after a restart it goes on where the catalog stands.
    if (before === undefined && source === 'config') shown = this.#catalogResult(definition);
    const held: HeldCheck = {
      definition,
      maintenance: false,
      source,
      published: firstResult(definition, shown),
    };
    this.checks.set(definition.checkId, held);
    return held;
  }

  /** Drops a service and its checks, and answers their ids. */
  dropService(id: string): readonly string[] {
    const checks = this.checksOf(id).map(([checkId]) => checkId);
    for (const checkId of checks) this.checks.delete(checkId);
    this.services.delete(id);
    return checks;
  }

  checksOf(serviceId: string): readonly (readonly [string, HeldCheck])[] {
    return this.checks.sorted().filter(([, { definition }]) => definition.serviceId === serviceId);
  }

  shown(check: HeldCheck): CheckResult {
    return this.#running(check.definition.checkId) ?? check.published;
  }

  /** The catalog's form of a check as it shows now. */
  shownValue(check: HeldCheck): CheckValue {
    return this.publishedValue({ ...check, published: this.shown(check) });
  }

  /** The catalog's form of a check as it is published. */
  publishedValue(check: HeldCheck): CheckValue {
    const service = this.services.get(check.definition.serviceId)?.value;
    return checkValueOf(this.#node, check, service);
  }

  serviceValues(): readonly ServiceValue[] {
    return this.services.sorted().map(([, { value }]) => value);
  }
}
