interface Wish {
  readonly dueMs: number;
  /** Who brought into this region what is to be had. */
  readonly root: string | undefined;
}

const wishesMax = 16;

/** With whom to sync, and when: a few at most, since one sync brings what the next would. */
export class Wishes {
  readonly #byPeer = new Map<string, Wish>();

  get size(): number {
    return this.#byPeer.size;
  }

  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#byPeer.values()) next = Math.min(next, dueMs);
    return next;
  }

  /** The earlier time stands. */
  add(peerId: string, dueMs: number, root: string | undefined): void {
    const held = this.#byPeer.get(peerId);
    if (held !== undefined ? held.dueMs <= dueMs : this.#byPeer.size >= wishesMax) return;
    this.#byPeer.set(peerId, { dueMs, root: root ?? held?.root });
  }

  /** Takes out the one that has been due for longest. */
  takeDue(nowMs: number): { readonly peerId: string; readonly root: string | undefined } | undefined {
    let first: { readonly peerId: string; readonly wish: Wish } | undefined;
    for (const [peerId, wish] of this.#byPeer) {
      if (wish.dueMs <= nowMs && wish.dueMs < (first?.wish.dueMs ?? Number.POSITIVE_INFINITY)) {
        first = { peerId, wish };
      }
    }
    if (first === undefined) return undefined;
    this.#byPeer.delete(first.peerId);
    return { peerId: first.peerId, root: first.wish.root };
  }
}
