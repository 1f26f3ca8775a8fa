import { err, ok, type Result } from '../../src/kernel/result.ts';
import { decodeValue, encodeValue, type CheckValue, type ServiceValue } from '../../src/state/values.ts';
import {
  decodeCheckDefinition,
  emptyCheck,
  encodeCheckDefinition,
  type CheckDefinition,
} from '../checks/definition.ts';
import type { CheckResult } from '../checks/output-throttle.ts';
import { checkType } from '../checks/probe.ts';
import { isCheckStatus } from '../checks/thresholds.ts';
import type { JsonObject } from '../wire/go-json.ts';
import type { Source } from './port.ts';

/** A service that the agent holds. */
export interface HeldService {
  readonly value: ServiceValue;
  readonly source: Source;
}

/** A check that the agent holds, with what is published of it. */
export interface HeldCheck {
  readonly definition: CheckDefinition;
  /** Made by maintenance mode: it has nothing that runs. */
  readonly maintenance: boolean;
  readonly source: Source;
  readonly published: CheckResult;
}

/** The catalog's form of a check; names and tags come from its service, if it has one. */
export function checkValueOf(node: string, check: HeldCheck, service: ServiceValue | undefined): CheckValue {
  const { definition, maintenance, published } = check;
  return {
    node,
    checkId: definition.checkId,
    name: definition.name,
    status: published.status,
    notes: definition.notes,
    output: published.output,
    serviceId: definition.serviceId,
    serviceName: service?.service ?? '',
    serviceTags: service?.tags ?? [],
    type: maintenance ? 'maintenance' : checkType(definition),
    definition: '',
  };
}

/** What a check shows before anything ran: what it showed before, else its registered status, else critical. */
export function firstResult(definition: CheckDefinition, before: CheckResult | undefined): CheckResult {
  if (before !== undefined) return before;
  const { status } = definition;
  return { status: isCheckStatus(status) ? status : 'critical', output: '' };
}

// What the local registers hold. As every register: whole values, later fields at the end and defaulted.

export function encodeHeldService(value: ServiceValue): Uint8Array {
  return encodeValue(value);
}

export function decodeHeldService(bytes: Uint8Array, node: string): ServiceValue {
  return { ...decodeValue<ServiceValue>(bytes), node };
}

interface StoredCheck {
  readonly definition: JsonObject;
  readonly maintenance: boolean;
}

export function encodeHeldCheck(check: Pick<HeldCheck, 'definition' | 'maintenance'>): Uint8Array {
  const stored: StoredCheck = {
    definition: encodeCheckDefinition(check.definition),
    maintenance: check.maintenance,
  };
  return encodeValue(stored);
}

export function decodeHeldCheck(
  bytes: Uint8Array,
): Result<Pick<HeldCheck, 'definition' | 'maintenance'>, string> {
  const { definition, maintenance } = decodeValue<StoredCheck>(bytes, { maintenance: false });
  const decoded = decodeCheckDefinition(definition, 'stored');
  return decoded.ok ? ok({ definition: decoded.value, maintenance }) : err(decoded.error);
}

export const nodeMaintenanceId = '_node_maintenance';
const serviceMaintenancePrefix = '_service_maintenance:';

export function maintenanceId(serviceId: string | undefined): string {
  return serviceId === undefined ? nodeMaintenanceId : serviceMaintenancePrefix + serviceId;
}

export function isMaintenanceId(checkId: string): boolean {
  return checkId === nodeMaintenanceId || checkId.startsWith(serviceMaintenancePrefix);
}

/** The critical check that stands for maintenance mode, with Consul's texts. */
export function maintenanceCheck(serviceId: string | undefined, reason: string): HeldCheck {
  const what = serviceId === undefined ? 'node' : 'service';
  return {
    definition: {
      ...emptyCheck,
      checkId: maintenanceId(serviceId),
      name: serviceId === undefined ? 'Node Maintenance Mode' : 'Service Maintenance Mode',
      notes:
        reason ||
        `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`,
      serviceId: serviceId ?? '',
      status: 'critical',
    },
    maintenance: true,
    source: 'api',
    published: { status: 'critical', output: '' },
  };
}
