import type { LockCall, LockResult, RegisterCall, RegisterResult } from './history.ts';

/** A sequential object. `step` answers the state after a call, undefined when it could not have had that result. */
export interface Model<State, Call, Result> {
  readonly initial: State;
  step(state: State, call: Call, result: Result | undefined): State | undefined;
  /** Equal states have equal texts. */
  text(state: State): string;
}

interface Register {
  readonly value: string | null;
}

/** One register: `null` when there is nothing. */
export const registerModel: Model<Register, RegisterCall, RegisterResult> = {
  initial: { value: null },
  step: (state, call, result) => {
    switch (call.kind) {
      case 'read':
        return result === undefined || ('value' in result && result.value === state.value)
          ? state
          : undefined;
      case 'write':
        return { value: call.value };
      case 'cas': {
        const applies = state.value === call.expected;
        if (result !== undefined && 'applied' in result && result.applied !== applies) return undefined;
        return applies ? { value: call.value } : state;
      }
    }
  },
  text: ({ value }) => JSON.stringify(value),
};

interface Lock {
  readonly holder: string | null;
  /** Sessions that were ended: they get no lock again. In order. */
  readonly ended: readonly string[];
}

/** A lock held by a session. A session that holds it already may acquire it again. */
export const lockModel: Model<Lock, LockCall, LockResult> = {
  initial: { holder: null, ended: [] },
  step: (state, call, result) => {
    const { holder } = state;
    switch (call.kind) {
      case 'acquire': {
        const granted = (holder === null || holder === call.session) && !state.ended.includes(call.session);
        if (disagrees(result, granted)) return undefined;
        return granted ? { ...state, holder: call.session } : state;
      }
      case 'release': {
        const held = holder === call.session;
        if (disagrees(result, held)) return undefined;
        return held ? { ...state, holder: null } : state;
      }
      case 'invalidate':
        return {
          holder: holder === call.session ? null : holder,
          ended: call.final ? [...new Set([...state.ended, call.session])].toSorted() : state.ended,
        };
      case 'holder':
        return result === undefined || ('holder' in result && result.holder === holder) ? state : undefined;
    }
  },
  text: ({ holder, ended }) => `${holder} ${ended.join(' ')}`,
};

function disagrees(result: LockResult | undefined, applied: boolean): boolean {
  return result !== undefined && 'applied' in result && result.applied !== applied;
}
