// What the demo prints: headings, what was seen, and what was not as it says.

const bold = (text: string): string => `\u001b[1m${text}\u001b[0m`;
const dim = (text: string): string => `\u001b[2m${text}\u001b[0m`;
const red = (text: string): string => `\u001b[31m${text}\u001b[0m`;

let steps = 0;
let failures = 0;

export function heading(text: string): void {
  steps += 1;
  const seconds = Math.round(performance.now() / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  console.log(`\n${bold(`${steps}. ${text}`)} ${dim(`(${clock})`)}`);
}

export function say(text: string): void {
  console.log(text);
}

/** A command as the user would type it. */
export function sayCommand(text: string): void {
  console.log(dim(`$ ${text}`));
}

/** Says what was seen, and remembers it as a failure where it is not what the demo promises. */
export function seen(asPromised: boolean, text: string): void {
  if (!asPromised) failures += 1;
  console.log(asPromised ? text : red(`NOT AS IT SHOULD BE: ${text}`));
}

/** How many things were not as promised so far. */
export function failureCount(): number {
  return failures;
}

/** Short, with as many digits as matter. */
export function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
