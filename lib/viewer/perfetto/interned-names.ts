/** Texts that stand in a trace once and are numbers afterwards. Source: Perfetto's "interned_data.proto". */
import type { ProtoMessage } from './proto-writer.ts';

export class InternedNames {
  /** Numbers are never given to another text, not even when all of them are written again. */
  readonly #iids = new Map<string, number>();
  #pending: ProtoMessage[] = [];

  /** From 1 on. */
  of(name: string): number {
    let iid = this.#iids.get(name);
    if (iid === undefined) {
      iid = this.#iids.size + 1;
      this.#iids.set(name, iid);
      this.#pending.push({ iid, name });
    }
    return iid;
  }

  /** What has to be written before anything refers to it; undefined: nothing. */
  take(): ProtoMessage[] | undefined {
    if (this.#pending.length === 0) return undefined;
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }

  /** All of them have to be written again. */
  repeat(): void {
    this.#pending = [...this.#iids].map(([name, iid]) => ({ iid, name }));
  }
}
