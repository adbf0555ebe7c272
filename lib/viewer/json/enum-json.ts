/** What stands behind the number of an enumeration in JSON: `,"labels":["A","B"]}`, by value. */
import { LabelTable } from '../text/enum-text.ts';
import { jsonText } from './json-emitter.ts';

export class EnumJson extends LabelTable {
  protected override bytesOf(labels: readonly string[]): Uint8Array {
    return Buffer.from(`,"labels":[${labels.map(jsonText).join(',')}]}`, 'latin1');
  }
}
