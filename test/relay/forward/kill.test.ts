/**
 * Forwarder, next relay and link die in any order: nothing that the forwarder reported as stored is lost, and nothing is
 * stored twice at the next relay.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pattern, random } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { Link } from '../../helpers/link.ts';
import { Producer } from '../../helpers/producer.ts';
import { tree } from '../../helpers/relay.ts';
import { RelayProcess } from '../../helpers/relay-process.ts';
import * as r from '../../helpers/requests.ts';

const packetsOfRound = 24;
const content = (round: number, n: number): Buffer => pattern(3000 + round * 40 + n, round * 100 + n);

/** Two relays as processes of their own, and the links between them. */
class Chain {
  readonly directory: string;
  readonly #t: ExecutionContext;
  readonly #links: Link[] = [];
  next!: RelayProcess;
  forwarder!: RelayProcess;

  private constructor(t: ExecutionContext) {
    this.#t = t;
    this.directory = temporaryDirectory(t);
  }

  static async open(t: ExecutionContext): Promise<Chain> {
    const chain = new Chain(t);
    await chain.startNext();
    chain.#links.push(await Link.open(t, () => chain.next.control));
    chain.#links.push(await Link.open(t, () => chain.next.data));
    await chain.startForwarder();
    return chain;
  }

  async startNext(): Promise<void> {
    this.next = await RelayProcess.start(this.#t, { outputPath: join(this.directory, 'next') });
  }

  async startForwarder(): Promise<void> {
    const [control, data] = this.#links.map(({ address }) => address.port);
    const args = ['--forward', `net://127.0.0.1:${control}:${data}`, '--no-store'];
    this.forwarder = await RelayProcess.start(this.#t, {
      outputPath: join(this.directory, 'forwarder'),
      args,
    });
  }

  /** One misfortune. */
  async strike(which: number): Promise<void> {
    if (which === 0) for (const link of this.#links) link.cut();
    if (which === 1) {
      this.next.kill('SIGKILL');
      await this.next.ended;
      await this.startNext();
    }
    if (which === 2) {
      this.forwarder.kill('SIGKILL');
      await this.forwarder.ended;
      await this.startForwarder();
    }
  }

  /** Everything has gone on. */
  async through(): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const { forward } = await this.forwarder.status();
      if (forward?.ways.length === 0) return;
      if (tries > 60) throw new Error(`does not go on: ${JSON.stringify(forward)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A session that sends until it is done or its relay is gone; how many packets were reported as stored. */
async function round(
  t: ExecutionContext,
  chain: Chain,
  number: number,
  strikes: readonly number[],
): Promise<number> {
  let reported = 0;
  try {
    const producer = await Producer.open(t, chain.forwarder, {
      sessionName: `r${number}`,
      idSessiond: BigInt(number),
    });
    const stream = await producer.addStream('c_0');
    const metadata = await producer.addStream('metadata');
    await producer.ok(r.streamsSent());
    producer.metadata(metadata, `metadata of ${number}`);
    for (let n = 0; n < packetsOfRound; n += 1) {
      await producer.packet(stream, BigInt(n), content(number, n));
      if (n % 5 === 4) {
        await producer.stored(stream, BigInt(n));
        reported = n + 1;
      }
      const strike = strikes[n];
      if (strike !== undefined) await chain.strike(strike);
    }
    await producer.stored(stream, BigInt(packetsOfRound - 1));
    reported = packetsOfRound;
    await producer.finish([
      [metadata, r.noPacket],
      [stream, BigInt(packetsOfRound - 1)],
    ]);
  } catch {
    // the forwarder died: what it had reported counts
  }
  return reported;
}

/** How often each packet of a round lies at the next relay, by its index records; a wrong content is not a packet. */
function storedOf(directory: string, number: number): number[] {
  const counts = Array.from({ length: packetsOfRound }, () => 0);
  const files = tree(directory);
  for (const [path, index] of Object.entries(files)) {
    if (!path.endsWith('/index/c_0.idx') || !new RegExp(`/r${number}-(resumed|2023)`).test(`/${path}`))
      continue;
    const data = files[path.replace('/index/c_0.idx', '/c_0')] as Buffer;
    for (let at = 16; at + 72 <= (index as Buffer).length; at += 72) {
      const offset = Number((index as Buffer).readBigUInt64BE(at));
      const n = Number((index as Buffer).readBigUInt64BE(at + 64));
      const expected = content(number, n);
      if (data.subarray(offset, offset + expected.length).equals(expected)) counts[n] = (counts[n] ?? 0) + 1;
    }
  }
  return counts;
}

/** More of them: MILLRACE_SEEDS=1,2,3,4 npx ava dist/test/relay/forward/kill.test.js */
const seeds = (process.env.MILLRACE_SEEDS ?? '1').split(',').map(Number);

for (const seed of seeds)
  test.serial(`seed ${seed}: nothing that was reported is lost, nothing is stored twice`, async (t) => {
    t.timeout(100_000);
    const next = random(seed);
    const chain = await Chain.open(t);
    const reported: number[] = [];
    const rounds = 3;
    for (let number = 0; number < rounds; number += 1) {
      const strikes: number[] = [];
      for (let count = 0; count < 3; count += 1)
        strikes[next() % packetsOfRound] = next() % (count === 2 ? 3 : 2);
      reported.push(await round(t, chain, number, strikes));
    }
    await chain.through();
    chain.next.kill('SIGTERM');
    await chain.next.ended;
    const directories = readdirSync(join(chain.directory, 'next', 'vm'));
    t.deepEqual(
      directories.filter((name) => name.includes('resumed')),
      [],
      'each session goes on in its own directory',
    );
    for (let number = 0; number < rounds; number += 1) {
      const counts = storedOf(join(chain.directory, 'next'), number);
      t.true(
        counts.every((count) => count <= 1),
        `round ${number}: ${counts.join('')}`,
      );
      t.true(
        counts.slice(0, reported[number]).every((count) => count === 1),
        `round ${number}, ${reported[number]} reported: ${counts.join('')}`,
      );
    }
    t.true(reported.some((count) => count > 0));
  });
