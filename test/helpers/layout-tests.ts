/** What must hold for every declared layout, whatever protocol it belongs to. */
import test from 'ava';
import fc from 'fast-check';
import type { Struct } from '../../lib/schema/index.ts';
import { codeOf } from './hex.ts';
import { arbitraryOf, mutationsOf } from './layouts.ts';

/** Declares three tests a layout: round trip, hostile changes, random bytes. */
export function testLayouts(protocol: string, layouts: ReadonlyMap<string, Struct<object>>): void {
  for (const [name, layout] of layouts) {
    /** One byte less is as good. */
    const endless = layout.fields.at(-1)?.[1].kind === 'rest';
    const runs = layout.minSizeBytes > 4096 ? 20 : 100;

    test(`${protocol} ${name}: every value comes back from its bytes`, (t) => {
      fc.assert(
        fc.property(arbitraryOf(layout), (value) => {
          const bytes = layout.encode(value);
          t.is(bytes.length, layout.sizeOf(value));
          t.deepEqual(layout.decode(bytes), value);
          t.notRegex(layout.dump(bytes), /missing/);
        }),
        { numRuns: runs },
      );
      t.pass();
    });

    test(`${protocol} ${name}: hostile bytes give a MillraceError or a value, nothing else`, (t) => {
      fc.assert(
        fc.property(arbitraryOf(layout), (value) => {
          for (const { what, bytes } of mutationsOf(layout, layout.encode(value))) {
            const code = codeOf(() => layout.decode(bytes));
            const isCut = what.startsWith('cut') || (what.startsWith('without') && !endless);
            if (isCut) t.truthy(code, `${what} was accepted`);
            t.notThrows(() => layout.dump(bytes), what);
          }
        }),
        { numRuns: runs },
      );
      t.pass();
    });

    test(`${protocol} ${name}: random bytes give a MillraceError or a value, nothing else`, (t) => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: layout.minSizeBytes + 64 }), (array) => {
          const bytes = Buffer.from(array);
          codeOf(() => layout.decode(bytes));
          t.notThrows(() => layout.dump(bytes));
        }),
        { numRuns: runs },
      );
      t.pass();
    });
  }
}
