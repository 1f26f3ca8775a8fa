import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { StepReport } from '../../migration/live/control/stepper.ts';
import { isEqual, type Verification } from '../../migration/live/control/verification.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { askJson, askShownJson, jsonFlag, withGateway, type JsonFlag } from './fleet-client.ts';
import { boolFlag, listFlag, textFlag } from './flags.ts';
import { addClientFlags, type ClientFlags, type GatewayClient } from './http-client.ts';
import {
  renderPlan,
  renderRehearsal,
  renderStatus,
  renderStep,
  renderVerification,
  type StatusBody,
} from './migrate-live-text.ts';
import { printable } from './table.ts';

// Moving a live Consul over: what operators order of a running gateway, over its HTTP API.

type Flags = ClientFlags & JsonFlag;

interface PhaseFlags extends Flags {
  readonly kind?: string;
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly override?: boolean;
  readonly without?: readonly string[];
}

interface StatusFlags extends Flags {
  readonly watch?: boolean;
}

const base = '/v1/grapevine/migration';
const watchMs = 2000;

/** Exit code of what was asked for and could not be done as things are: gates, a step called off, a difference. */
const notDone = 1;

export function registerMigrateLive(migrate: Command): void {
  registerPlan(migrate);
  registerPhase(migrate);
  registerStatus(migrate);
  registerCopying(migrate);
  registerAcceptSource(migrate);
  registerPanic(migrate);
  registerVerify(migrate);
  registerRepair(migrate);
  registerRehearse(migrate);
  registerQuarantine(migrate);
}

function registerPlan(migrate: Command): void {
  addClientFlags(
    migrate
      .command('plan')
      .summary('What there is to be moved, and what stands in the way')
      .description(
        'Reads the names of all keys of the source and a sample of their values, and says what is there, what cannot\n' +
          'move and why, which endpoints clients use that are refused here, and how long the first copy takes.',
      )
      .addOption(jsonFlag()),
  ).action(async (flags: Flags) => {
    process.exitCode = await shown(flags, 'Error planning', `${base}/plan`, renderPlan);
  });
}

function registerPhase(migrate: Command): void {
  addClientFlags(
    migrate
      .command('phase')
      .summary('Move a prefix one phase on, or back')
      .description(
        'Moves PREFIX to PHASE: passthrough, mirror, dual, shadow, local-reads, cutover, final; one step at a time,\n' +
          'either way. Every gate of the step is printed. A step is done when every gateway acts on it.',
      )
      .argument('<prefix>', "keys that begin so; '' is all keys")
      .argument('<phase>', 'the phase to go to')
      .addOption(
        textFlag('kind', 'kv|catalog', 'What of: keys, or the catalog (whose prefix is empty). Default: kv.'),
      )
      .addOption(boolFlag('dry-run', 'Print the gates and what would be done; change nothing.'))
      .addOption(textFlag('reason', 'text', 'Why. Kept with the rule.'))
      .addOption(
        boolFlag(
          'override',
          'Pass over gates that are not green. Needs -reason; every later report says so.',
        ),
      )
      .addOption(listFlag('without', 'gateway', 'Do not wait for this gateway. Needs -reason.'))
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine migrate phase app/ mirror
  $ grapevine migrate phase app/ cutover -dry-run
  $ grapevine migrate phase app/ local-reads -reason "latency"     # the way back

Exit codes: 0 done, or a dry run whose gates are green; 1 refused, gates not green, called off, or not every gateway
acts on it yet (the output says which); 2 usage.`,
    )
    .action(async (prefix: string, phase: string, flags: PhaseFlags) => {
      const body = {
        ...{ prefix, phase },
        ...(flags.kind === undefined ? {} : { kind: flags.kind }),
        ...(flags.dryRun === undefined ? {} : { dryRun: flags.dryRun }),
        ...(flags.reason === undefined ? {} : { reason: flags.reason }),
        ...(flags.override === undefined ? {} : { override: flags.override }),
        ...(flags.without === undefined ? {} : { without: flags.without }),
      };
      process.exitCode = await ordered<StepReport>(
        flags,
        'Error stepping',
        'step',
        body,
        renderStep,
        (report) => {
          if (report.result === 'would') return report.gates.every(({ state }) => state === 'green');
          return report.result === 'done';
        },
      );
    });
}

function registerStatus(migrate: Command): void {
  addClientFlags(
    migrate
      .command('status')
      .summary('Phases, progress, lag, and what every gateway does')
      .description('Asks every gateway of the fleet. One line for each rule, with rate, lag and time left.')
      .addOption(boolFlag('watch', 'Again every other second, until interrupted.'))
      .addOption(jsonFlag()),
  ).action(async (flags: StatusFlags) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- again and again
      const code = await shown<StatusBody>(flags, 'Error reading the status', `${base}/status`, (body) =>
        renderStatus(body, Date.now()),
      );
      process.exitCode = code;
      if (flags.watch !== true) return;
      // oxlint-disable-next-line no-await-in-loop -- again and again
      await new Promise((resolve) => setTimeout(resolve, watchMs));
    }
  });
}

function registerCopying(migrate: Command): void {
  addClientFlags(
    migrate
      .command('pause')
      .summary('Pause copying from the source')
      .description(
        'Copying pauses until `resume`; clients are answered as before. Gates of further steps are red meanwhile.',
      )
      .requiredOption('--reason <text>', 'Why: shown in the status.')
      .addOption(jsonFlag()),
  ).action(async (flags: Flags & { readonly reason: string }) => {
    process.exitCode = await ordered(
      flags,
      'Error pausing',
      'pause',
      { reason: flags.reason },
      () => 'Copying is paused.',
    );
  });
  addClientFlags(
    migrate.command('resume').summary('Go on copying').description('Ends `pause`.').addOption(jsonFlag()),
  ).action(async (flags: Flags) => {
    process.exitCode = await ordered(flags, 'Error resuming', 'resume', {}, () => 'Copying goes on.');
  });
  addClientFlags(
    migrate
      .command('breaker')
      .summary('Answer the mass-delete breaker')
      .description(
        'Copying asks before it removes many keys at once (`status` shows the question). ANSWER is allow or refuse.',
      )
      .argument('<prefix>', 'below which it asks')
      .argument('<answer>', 'allow or refuse')
      .addOption(jsonFlag()),
  ).action(async (prefix: string, answer: string, flags: Flags) => {
    if (answer !== 'allow' && answer !== 'refuse') {
      console.error(`${JSON.stringify(answer)} is no answer: say allow or refuse`);
      process.exitCode = 2;
      return;
    }
    process.exitCode = await ordered(
      flags,
      'Error answering',
      'breaker',
      { prefix, allow: answer === 'allow' },
      () => 'Answered.',
    );
  });
}

function registerAcceptSource(migrate: Command): void {
  addClientFlags(
    migrate
      .command('accept-source')
      .summary('Another cluster at the address of the source is meant')
      .description(
        'Copying stops where another cluster answers at the address of the source (`status` says so). This takes it as\n' +
          'the source: what it decides is compared anew and copied here, what this fleet decides is copied to it.',
      )
      .requiredOption('--reason <text>', 'Why: kept in the log.')
      .addOption(jsonFlag()),
  ).action(async (flags: Flags & { readonly reason: string }) => {
    process.exitCode = await ordered(
      flags,
      'Error accepting',
      'accept-source',
      { reason: flags.reason },
      () => 'It is the source now: everything is compared with it.',
    );
  });
}

interface PanicBody {
  readonly passthrough: readonly { readonly kind: string; readonly prefix: string }[];
  readonly problems: readonly string[];
  readonly stillHere: readonly { readonly prefix: string; readonly phase: string }[];
  readonly message: string;
}

function registerPanic(migrate: Command): void {
  addClientFlags(
    migrate
      .command('panic')
      .summary('Everything to the source, at once')
      .description(
        'Puts every rule below PREFIX (all by default) that the source decides into passthrough: at the gateway that is\n' +
          'asked at once, then on all others. Where this fleet decides already (cutover, final) nothing is changed.',
      )
      .argument('[prefix]', 'keys that begin so')
      .addOption(textFlag('reason', 'text', 'Why. Kept with the rules.'))
      .addOption(jsonFlag()),
  ).action(async (prefix: string | undefined, flags: Flags & { readonly reason?: string }) => {
    const body = { prefix: prefix ?? '', ...(flags.reason === undefined ? {} : { reason: flags.reason }) };
    process.exitCode = await ordered<PanicBody>(
      flags,
      'Error',
      'panic',
      body,
      ({ passthrough, problems, stillHere, message }) =>
        [
          `${passthrough.length} rules are passthrough now: ${passthrough.map(({ kind, prefix: at }) => (kind === 'catalog' ? 'the catalog' : JSON.stringify(at))).join(', ')}`,
          ...problems.map((each) => `! ${each}`),
          ...stillHere.map(
            ({ prefix: at, phase }) => `! ${JSON.stringify(at)} is in phase ${phase}: this fleet decides`,
          ),
          message,
        ].join('\n'),
      ({ problems, stillHere }) => problems.length === 0 && stillHere.length === 0,
    );
  });
}

interface VerifyFlags extends Flags {
  readonly kind?: string;
}

function registerVerify(migrate: Command): void {
  addClientFlags(
    migrate
      .command('verify')
      .summary('Compare every key of both sides, and the catalog')
      .description(
        'Reads every key below PREFIX (all by default) at the source and here, both ways; what differs twice more.\n' +
          'Without PREFIX the catalog as well, while it is moved: nodes, services and checks as clients see them.',
      )
      .argument('[prefix]', 'keys that begin so')
      .addOption(textFlag('kind', 'kv|catalog', 'Keys alone, or the catalog alone.'))
      .addOption(jsonFlag()),
  )
    .addHelpText('after', '\nExit codes: 0 equal; 1 different, or not to be found out.')
    .action(async (prefix: string | undefined, flags: VerifyFlags) => {
      process.exitCode = await ordered<Verification>(
        flags,
        'Error comparing',
        'verify',
        { prefix: prefix ?? '', ...(flags.kind === undefined ? {} : { kind: flags.kind }) },
        renderVerification,
        isEqual,
      );
    });
}

function registerRepair(migrate: Command): void {
  addClientFlags(
    migrate
      .command('repair')
      .summary('Read the keys of a report again')
      .description(
        'Reads the keys that a report or a verification names once more at the source, and copies what is there. Nothing\n' +
          'is ever written to the source. Keys that a report shows hashed are no names: make it with -reveal.',
      )
      .requiredOption('--from <file>', 'report.json, the JSON of `verify`, or samples as NDJSON')
      .addOption(jsonFlag()),
  ).action(async (flags: Flags & { readonly from: string }) => {
    const keys = keysOf(flags.from);
    if (!keys.ok) {
      console.error(keys.error);
      process.exitCode = 2;
      return;
    }
    process.exitCode = await ordered<{ readonly queued: number; readonly passedOver: number }>(
      flags,
      'Error repairing',
      'repair',
      { keys: keys.value },
      ({ queued, passedOver }) =>
        `${queued} keys are read again` +
        (passedOver === 0
          ? ''
          : `; ${passedOver} are passed over: the source does not decide them, or they are not copied`),
    );
  });
}

/** Names of keys, wherever they stand in what `verify` or a report wrote. */
function keysOf(file: string): Result<readonly string[], string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  const found = new Set<string>();
  const look = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(look);
    else if (typeof value === 'object' && value !== null) {
      for (const [name, inner] of Object.entries(value)) {
        if (name === 'key' && typeof inner === 'string') found.add(inner);
        else if (name === 'keys' && Array.isArray(inner)) {
          for (const each of inner) if (typeof each === 'string') found.add(each);
        } else look(inner);
      }
    }
  };
  try {
    look(JSON.parse(text));
  } catch {
    try {
      for (const line of text.split('\n')) if (line.trim() !== '') look(JSON.parse(line));
    } catch {
      return err(`${file} holds no JSON`);
    }
  }
  return found.size === 0 ? err(`${file} names no keys`) : ok([...found]);
}

interface RehearsalBody {
  readonly ok: boolean;
}

function registerRehearse(migrate: Command): void {
  addClientFlags(
    migrate
      .command('rehearse')
      .summary('Walk a cutover and the way back on keys of its own')
      .description(
        'Walks the prefix _gw/rehearsal/ the whole way to a cutover and back, with the same code, and looks at both ends.\n' +
          'A cutover needs one since the authority last moved.',
      )
      .addOption(jsonFlag()),
  )
    .addHelpText('after', '\nExit codes: 0 it went well; 1 it did not.')
    .action(async (flags: Flags) => {
      process.exitCode = await ordered<RehearsalBody>(
        flags,
        'Error rehearsing',
        'rehearse',
        {},
        (body) => renderRehearsal(body as never),
        (body) => body.ok,
      );
    });
}

function registerQuarantine(migrate: Command): void {
  addClientFlags(
    migrate
      .command('quarantine')
      .summary('Keys that somebody wrote at the source after its cutover')
      .description(
        'Lists keys below PREFIX that were written at the source, past the gateways, after the cutover. They are left\n' +
          'alone there, and no longer copied back.',
      )
      .argument('[prefix]', 'keys that begin so')
      .addOption(listFlag('keep-here', 'key', 'Overwrite this key at the source with what is here.'))
      .addOption(jsonFlag()),
  ).action(async (prefix: string | undefined, flags: Flags & { readonly keepHere?: readonly string[] }) => {
    if (flags.keepHere !== undefined) {
      process.exitCode = await ordered(
        flags,
        'Error',
        'quarantine/drop',
        { keys: flags.keepHere },
        () => 'They are copied back.',
      );
      return;
    }
    const path = `${base}/quarantine?prefix=${encodeURIComponent(prefix ?? '')}`;
    process.exitCode = await shown<
      readonly { readonly key: string; readonly why: string; readonly atMs: number }[]
    >(flags, 'Error', path, (rows) =>
      rows.length === 0
        ? 'None.'
        : rows
            .map(({ key, why, atMs }) => `${new Date(atMs).toISOString()}  ${why}  ${printable(key)}`)
            .join('\n'),
    );
  });
}

// oxlint-disable-next-line no-unnecessary-type-parameters -- what the gateway answers is a matter of trust
function shown<T>(flags: Flags, failed: string, path: string, render: (body: T) => string): Promise<number> {
  return withGateway(flags, failed, async (client: GatewayClient) => {
    if (flags.json === true) return askShownJson(client, path);
    const answer = await askJson<T>(client, 'GET', path);
    return answer.ok ? ok(render(answer.value)) : answer;
  });
}

async function ordered<T>(
  flags: Flags,
  failed: string,
  what: string,
  body: object,
  render: (answer: T) => string,
  isDone: (answer: T) => boolean = () => true,
): Promise<number> {
  let done = true;
  const code = await withGateway(flags, failed, async (client: GatewayClient) => {
    const answer = await askJson<T>(client, 'PUT', `${base}/${what}`, body);
    if (!answer.ok) return answer;
    done = isDone(answer.value);
    return ok(flags.json === true ? JSON.stringify(answer.value, null, 2) : render(answer.value));
  });
  return code === 0 && !done ? notDone : code;
}
