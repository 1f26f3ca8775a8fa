// MessagePack from outside, looked over before it is decoded. The decoder believes the lengths that it reads: three
// bytes can make it allocate an array of 65,535, and a packet holds four hundred times three bytes. Here every length is
// compared with what is really there, so that decoding costs no more than the bytes that were sent.

/** Arrays and maps within one another; what this project sends has less than ten. */
const depthMax = 32;
/** Values in one message: more than the largest page of state has, and few enough to hold. */
const itemsMax = 2 ** 20;

/** Whether the bytes are exactly one value of plain data: nothing reserved, no extension types, within the limits. */
export function isPlainData(raw: Uint8Array): boolean {
  /** Values that are still to come at each level. */
  const open: number[] = [];
  let wanted = 1;
  let items = 0;
  let at = 0;
  for (;;) {
    while (wanted === 0) {
      const outer = open.pop();
      if (outer === undefined) return at === raw.length;
      wanted = outer;
    }
    const head = raw[at++];
    if (head === undefined || ++items > itemsMax) return false;
    wanted--;
    const { lengthBytes, fixed, holds } = formOf(head);
    let length = fixed;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + (raw[at++] ?? Number.NaN);
    // Every value takes a byte at least; the comparison is false for lengths that were cut off, too.
    const values = holds === 'pairs' ? 2 * length : length;
    if (!(values <= raw.length - at)) return false;
    if (holds === 'bytes') {
      at += length;
    } else if (values > 0) {
      if (open.length === depthMax) return false;
      open.push(wanted);
      wanted = values;
    }
  }
}

interface Form {
  /** Of the length that follows. */
  readonly lengthBytes: number;
  /** The length where the first byte says it. */
  readonly fixed: number;
  readonly holds: 'bytes' | 'values' | 'pairs';
}

const refused: Form = { lengthBytes: 0, fixed: Number.NaN, holds: 'bytes' };

function bytes(fixed: number, lengthBytes = 0): Form {
  return { lengthBytes, fixed, holds: 'bytes' };
}

/** From 0xc0 to 0xdf: nil, reserved, booleans, bin, ext, float, uint, int, fixext, str, array, map. */
const forms: readonly Form[] = [
  ...[bytes(0), refused, bytes(0), bytes(0)],
  ...[bytes(0, 1), bytes(0, 2), bytes(0, 4)],
  ...[refused, refused, refused],
  ...[bytes(4), bytes(8)],
  ...[bytes(1), bytes(2), bytes(4), bytes(8)],
  ...[bytes(1), bytes(2), bytes(4), bytes(8)],
  ...[refused, refused, refused, refused, refused],
  ...[bytes(0, 1), bytes(0, 2), bytes(0, 4)],
  { lengthBytes: 2, fixed: 0, holds: 'values' },
  { lengthBytes: 4, fixed: 0, holds: 'values' },
  { lengthBytes: 2, fixed: 0, holds: 'pairs' },
  { lengthBytes: 4, fixed: 0, holds: 'pairs' },
];

/** By the first byte of a value. */
const allForms: readonly Form[] = Array.from({ length: 256 }, (_, head) => {
  if (head < 0x80 || head >= 0xe0) return bytes(0);
  if (head < 0x90) return { lengthBytes: 0, fixed: head & 0x0f, holds: 'pairs' };
  if (head < 0xa0) return { lengthBytes: 0, fixed: head & 0x0f, holds: 'values' };
  if (head < 0xc0) return bytes(head & 0x1f);
  return forms[head - 0xc0] as Form;
});

function formOf(head: number): Form {
  return allForms[head] as Form;
}
