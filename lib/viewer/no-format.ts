import type { MakeEmitter } from '../ctf/decode/emitter.ts';
import type { LineFormat } from './line-format.ts';
import { FoldEmitter } from './skip-emitter.ts';

/** Decodes every field and writes nothing. */
export class NoFormat implements LineFormat {
  packet(): MakeEmitter {
    return (code) => new FoldEmitter(code);
  }

  body(): MakeEmitter {
    return (code) => new FoldEmitter(code);
  }

  prefix(): void {}
}
