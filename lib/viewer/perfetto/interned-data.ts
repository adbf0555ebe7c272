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

/** The names of a trace, by kind: each has numbers of its own. */
export class InternedData {
  readonly categories = new InternedNames();
  readonly events = new InternedNames();
  readonly fields = new InternedNames();

  /** InternedData with what has to be written before anything refers to it; undefined: nothing. */
  take(): ProtoMessage | undefined {
    const eventCategories = this.categories.take();
    const eventNames = this.events.take();
    const debugAnnotationNames = this.fields.take();
    return (eventCategories ?? eventNames ?? debugAnnotationNames)
      ? { eventCategories, eventNames, debugAnnotationNames }
      : undefined;
  }

  repeat(): void {
    for (const names of [this.categories, this.events, this.fields]) names.repeat();
  }
}
