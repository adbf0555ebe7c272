/** The slices that are open on a track: the last one that was begun ends first. */
import { limits } from '../../limits.ts';

export class SliceStack {
  readonly #open: { key: string; field: string | undefined }[] = [];

  /** False: there are too many, and it is no slice. */
  begin(key: string, field: string | undefined): boolean {
    if (this.#open.length >= limits.perfettoSliceDepth) return false;
    this.#open.push({ key, field });
    return true;
  }

  /**
   * How many slices end: those above, whose ends were lost, and the one that the end belongs to; 0: none, its beginning
   * was not seen. Where beginning and end both have a field that names them, it is the same.
   */
  end(key: string, field: string | undefined): number {
    const open = this.#open;
    for (let at = open.length - 1; at >= 0; at--) {
      const slice = open[at];
      const fits = field === undefined || slice?.field === undefined || slice.field === field;
      if (slice?.key === key && fits) {
        const count = open.length - at;
        open.length = at;
        return count;
      }
    }
    return 0;
  }
}
