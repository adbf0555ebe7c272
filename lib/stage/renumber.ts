/** The numbers of a stream from which some packets were taken out: what is left is numbered without holes. */

/** See the file's head. Numbers are net_seq_num; packets are taken out in their order. */
export class Renumbering {
  /** Runs of numbers taken out, first and last of each, in order. */
  readonly #runs: Array<{ first: bigint; last: bigint }> = [];
  #first: bigint | undefined;

  /** The stream's first number, kept or not. */
  begin(netSeqNum: bigint): void {
    this.#first ??= netSeqNum;
  }

  /** This packet is taken out. */
  takeOut(netSeqNum: bigint): void {
    this.begin(netSeqNum);
    const last = this.#runs.at(-1);
    if (last !== undefined && BigInt.asUintN(64, last.last + 1n) === netSeqNum) last.last = netSeqNum;
    else this.#runs.push({ first: netSeqNum, last: netSeqNum });
  }

  /** The new number of a packet that is kept; of one that was taken out, that of the last kept one before it. */
  numberOf(netSeqNum: bigint): bigint {
    let before = 0n;
    for (const { first, last } of this.#runs) {
      if (isAfter(first, netSeqNum)) break;
      before += BigInt.asUintN(64, (isAfter(last, netSeqNum) ? netSeqNum : last) - first) + 1n;
    }
    return BigInt.asUintN(64, netSeqNum - before);
  }

  /** The same; undefined where no packet up to there is kept. */
  lastKept(netSeqNum: bigint): bigint | undefined {
    const number = this.numberOf(netSeqNum);
    return this.#first !== undefined && isAfter(this.#first, number) ? undefined : number;
  }
}

/** Whether `a` comes after `b`, modulo 2^64. */
function isAfter(a: bigint, b: bigint): boolean {
  return BigInt.asIntN(64, a - b) > 0n;
}
