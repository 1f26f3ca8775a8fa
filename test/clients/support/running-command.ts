import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';

const waitMsMax = 30_000;

/** A command that runs beside the test, whose output the test waits for and whose input it writes. */
export class RunningCommand {
  readonly #child: ChildProcess;
  readonly #said: string;
  readonly #changed = new EventEmitter();
  readonly #exit: Promise<number>;
  #ended = false;
  #stdout = '';
  #stderr = '';

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#said = [command, ...args].join(' ');
    // A group of its own: what it starts (a locked child, a watch's handler) is ended with it.
    this.#child = spawn(command, args, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#changed.setMaxListeners(0);
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on('error', () => {});
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#changed.emit('change');
    });
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#changed.emit('change');
    });
    this.#exit = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#stderr += error.message;
        resolve(-1);
      });
      this.#child.once('close', (code) => resolve(code ?? -1));
    });
    void this.#exit.then(() => {
      this.#ended = true;
      this.#changed.emit('change');
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Waits until stdout has the text so many times. Rejects where the command ends before that. */
  async untilPrinted(text: string, times = 1): Promise<void> {
    await this.#until(`${JSON.stringify(text)} (${times}x)`, () => this.#stdout.split(text).length > times);
  }

  /** Waits for the exit code; -1 for a signal. */
  async exited(): Promise<number> {
    await this.#until('its end', () => this.#ended);
    return this.#exit;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Sends the signal to the command alone, as a user's `kill` would. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it at once, with all that it started. */
  async end(): Promise<void> {
    if (this.#child.pid !== undefined) {
      try {
        process.kill(-this.#child.pid, 'SIGKILL');
      } catch {
        // The group is gone.
      }
    }
    await this.#exit;
  }

  async #until(what: string, met: () => boolean): Promise<void> {
    const late = AbortSignal.timeout(waitMsMax);
    while (!met()) {
      if (this.#ended) throw new Error(this.#report(`ended before ${what}`));
      try {
        await once(this.#changed, 'change', { signal: late });
      } catch {
        throw new Error(this.#report(`${waitMsMax} ms without ${what}`));
      }
    }
  }

  #report(what: string): string {
    return `${this.#said}: ${what}\n--- stdout\n${this.#stdout}\n--- stderr\n${this.#stderr}`;
  }
}
