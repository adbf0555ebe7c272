/**
 * One run: clients write at random while a disk is migrated and faults happen to source, destination, link and whoever asked
 * for it. Everything follows from the seed, except what the machine's own timing adds. Afterwards exactly one copy counts, by
 * the table of nbd-migration D.5, and holds every acknowledged write.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askFlexnbd } from '../../../lib/nbd/flexnbd/control-client.ts';
import { askControl } from '../../../lib/network/control-socket.ts';
import { random as generator } from '../../helpers/bytes.ts';
import { FlakyLink } from '../../helpers/flaky-link.ts';
import { freePort } from '../../helpers/free-port.ts';
import { Actor } from './cast.ts';
import { DiskModel } from './model.ts';
import { Writer } from './writer.ts';

/** How a run went. */
export interface Outcome {
  seed: number;
  /** What happened, in order. */
  story: string[];
  canonical: 'source' | 'destination';
  /** Writes that were acknowledged. */
  acked: number;
  /** What is wrong; undefined: nothing. */
  wrong: string | undefined;
}

const faults = [
  'kill source',
  'stop source',
  'end source',
  'kill destination',
  'replace destination',
  'stop destination',
  'end destination',
  'cut link',
  'stop link',
  'kill asker',
  'stop asker',
  'break',
] as const;
type Fault = (typeof faults)[number];

/** After these nobody expects the migration to come to its end. */
const fatal = new Set<Fault>(['kill source', 'end source', 'kill destination', 'end destination', 'break']);

const blocks = 1024;
const copyMs = 400;
const patienceMs = 20_000;

export async function tortureRun(seed: number): Promise<Outcome> {
  const cleanups: Array<() => unknown> = [];
  const folder = mkdtempSync(join(tmpdir(), 'millrace-torture-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const scene = new Scene(seed, folder, { teardown: (run) => cleanups.push(run) });
  try {
    return await scene.play();
  } finally {
    for (const run of cleanups.reverse()) await run();
  }
}

class Scene {
  readonly #seed: number;
  readonly #random: () => number;
  readonly #t: { teardown(run: () => unknown): void };
  readonly #model = new DiskModel(blocks);
  readonly #story: string[] = [];
  readonly #startMs = performance.now();
  readonly #from: { file: string; sock: string; isFlexnbd: boolean };
  readonly #to: { file: string; sock: string; isFlexnbd: boolean };
  readonly #unlinks: boolean;
  /** A file of keys: both are ours and speak TLS. */
  readonly #keys: string | undefined;
  #link: FlakyLink | undefined;
  #source: Actor | undefined;
  #destination: Actor | undefined;
  #asker: Actor | undefined;
  #toPort = 0;
  /** The destination was told to end, or killed, by us. */
  #isFatal = false;
  #isReplaced = false;

  constructor(seed: number, folder: string, t: { teardown(run: () => unknown): void }) {
    this.#seed = seed;
    this.#random = generator(seed);
    this.#t = t;
    const place = (name: string) => ({
      file: join(folder, name),
      sock: join(folder, `${name}.sock`),
      isFlexnbd: this.#random() % 3 === 0,
    });
    this.#from = place('from');
    this.#to = place('to');
    this.#unlinks = this.#random() % 5 !== 0;
    const speaksTls = this.#random() % 3 === 0 && !this.#from.isFlexnbd && !this.#to.isFlexnbd;
    this.#keys = speaksTls ? join(folder, 'keys') : undefined;
    if (this.#keys !== undefined) writeFileSync(this.#keys, `mill:${'5a'.repeat(32)}\n`);
  }

  async play(): Promise<Outcome> {
    const model = this.#model;
    writeFileSync(this.#from.file, model.initial());
    writeFileSync(this.#to.file, Buffer.alloc(blocks * 4096));
    const [fromPort, toPort] = [await freePort(), await freePort()];
    this.#toPort = toPort;
    this.#source = this.#serve(fromPort);
    this.#destination = this.#listen();
    await Promise.all([this.#source.made(this.#from.sock), this.#destination.made(this.#to.sock)]);
    this.#link = await FlakyLink.start(
      { teardown: (run) => this.#t.teardown(run) },
      {
        host: '127.0.0.1',
        port: toPort,
      },
    );
    const writers = this.#writers(fromPort);
    await this.#ask();
    await this.#suffer();
    await this.#rest();
    await Promise.all(writers.map((writer) => writer.stop()));
    return this.#judge();
  }

  #say(what: string): void {
    this.#story.push(`${Math.round(performance.now() - this.#startMs)} ms: ${what}`);
  }

  #serve(port: number): Actor {
    const { file, sock, isFlexnbd } = this.#from;
    const args = isFlexnbd
      ? ['flexnbd', 'serve', '-l', '127.0.0.1', '-p', `${port}`, '-f', file, '-s', sock, '-v']
      : ['nbd', 'serve', '--oldstyle', '-a', '127.0.0.1', '-p', `${port}`, '-s', sock, '-vv', file];
    return this.#actor('source', args);
  }

  #listen(): Actor {
    const { file, sock, isFlexnbd } = this.#to;
    const where = ['-p', `${this.#toPort}`, '-s', sock, '-v'];
    if (this.#keys !== undefined) where.push('--tls-psk', this.#keys);
    const args = isFlexnbd
      ? ['flexnbd', 'listen', '-l', '127.0.0.1', ...where, '-f', file]
      : ['nbd', 'listen', '-a', '127.0.0.1', ...where, file];
    return this.#actor('destination', args);
  }

  #actor(name: string, args: readonly string[]): Actor {
    const actor = new Actor(name, args);
    void actor.ended.then((end) => this.#say(`${name} has ended with ${end}`));
    this.#t.teardown(async () => {
      actor.signal('SIGKILL');
      await actor.ended;
    });
    return actor;
  }

  #writers(port: number): Writer[] {
    const count = 1 + (this.#random() % 4);
    return Array.from({ length: count }, (_, n) => {
      const own = Array.from({ length: blocks }, (_, block) => block).filter((block) => block % count === n);
      const depth = 1 + (this.#random() % 16);
      const random = generator(this.#seed * 31 + n);
      const writer = new Writer({ port, model: this.#model, blocks: own, depth, random });
      this.#t.teardown(() => writer.stop());
      return writer;
    });
  }

  /** Asks for the migration, so slow that faults find it at work. */
  async #ask(): Promise<void> {
    const { host, port } = (this.#link as FlakyLink).address;
    const limit = Math.round((blocks * 4096 * 1000) / copyMs);
    const { sock, isFlexnbd } = this.#from;
    this.#say(
      `asks ${isFlexnbd ? 'as flexnbd' : ''} to ${this.#to.isFlexnbd ? 'flexnbd' : 'nbd'} listen${this.#keys === undefined ? '' : ' inside TLS'}`,
    );
    if (isFlexnbd) {
      const action = this.#unlinks ? 'unlink' : 'exit';
      void askFlexnbd(sock, 'mirror', [host, `${port}`, action, '127.0.0.1', `${limit}`]).then(
        ({ text }) => this.#say(text),
        (error: Error) => this.#say(error.message),
      );
      return;
    }
    const options = ['--wait', '--json', '--retry', '50', '--limit', `${limit}`];
    if (this.#unlinks) options.push('--unlink');
    const to =
      this.#keys === undefined
        ? `nbd://${host}:${port}`
        : `nbds://mill@${host}:${port}?tls-psk-file=${this.#keys}`;
    this.#asker = this.#actor('asker', ['nbd', 'mirror', ...options, sock, to]);
  }

  /** One to three faults, each at its moment. */
  async #suffer(): Promise<void> {
    // the end of the migration is where it matters most
    const momentMs = (): number =>
      this.#random() % 2 === 0 ? this.#random() % (2 * copyMs) : copyMs * 0.9 + (this.#random() % 200);
    const list = Array.from({ length: 1 + (this.#random() % 3) }, () => ({
      fault: faults[this.#random() % faults.length] as Fault,
      atMs: momentMs(),
      forMs: 20 + (this.#random() % 300),
    })).sort((a, b) => a.atMs - b.atMs);
    // the program that asks takes a moment to start
    if (this.#asker !== undefined) await Promise.race([this.#hasStarted(), delay(3000)]);
    const startMs = performance.now();
    for (const { fault, atMs, forMs } of list) {
      await delay(Math.max(0, atMs - (performance.now() - startMs)));
      this.#say(fault);
      await this.#commit(fault, forMs);
    }
  }

  async #hasStarted(): Promise<void> {
    while (this.#asker?.end === undefined && !this.#asker?.said.includes('"connected"')) await delay(5);
  }

  async #commit(fault: Fault, forMs: number): Promise<void> {
    if (fatal.has(fault)) this.#isFatal = true;
    const [what, who = ''] = fault.split(' ') as [string, string?];
    if (who === 'link') {
      if (what === 'cut') return this.#link?.cut();
      this.#link?.stop();
      await delay(forMs);
      return this.#link?.goOn();
    }
    if (fault === 'break') return await this.#break();
    const actor = { source: this.#source, destination: this.#destination, asker: this.#asker }[who];
    if (what === 'kill') actor?.signal('SIGKILL');
    else if (what === 'end') actor?.signal('SIGTERM');
    else if (what === 'replace') await this.#replaceDestination();
    else {
      actor?.signal('SIGSTOP');
      await delay(forMs);
      actor?.signal('SIGCONT');
    }
  }

  async #break(): Promise<void> {
    const { sock, isFlexnbd } = this.#from;
    const asked = isFlexnbd ? askFlexnbd(sock, 'break') : askControl(sock, 'break');
    const answer = await Promise.race([asked, delay(3000)]).catch((error: Error) => error.message);
    this.#say(`break: ${JSON.stringify(answer)}`);
  }

  /** Kills it, and starts another one on the same file, as a supervisor does that was not told that all is done. */
  async #replaceDestination(): Promise<void> {
    const before = this.#destination as Actor;
    before.signal('SIGKILL');
    if ((await before.ended) === 0 || !existsSync(this.#from.file)) {
      this.#isFatal = true;
      return;
    }
    rmSync(this.#to.sock, { force: true });
    this.#destination = this.#listen();
    this.#isReplaced = true;
  }

  /** Lets everybody who is left go on to the end, then ends them. */
  async #rest(): Promise<void> {
    const [source, destination] = [this.#source as Actor, this.#destination as Actor];
    const untilMs = performance.now() + (this.#isFatal ? 300 : patienceMs);
    const isOver = (): boolean => source.end !== undefined && destination.end !== undefined;
    while (!isOver() && performance.now() < untilMs) await delay(10);
    // one that was killed between the hand-over and its end has nobody to come to the one in its place
    const isInVain = this.#isReplaced && this.#isUntold;
    if (!this.#isFatal && !isOver() && !this.#wasRefused() && !isInVain)
      this.#late = 'it did not come to its end';
    for (const actor of [source, destination, this.#asker]) {
      actor?.signal('SIGCONT');
      actor?.signal('SIGTERM');
    }
    const all = [source, destination, this.#asker].flatMap((actor) => (actor ? [actor.ended] : []));
    const ended = await Promise.race([Promise.all(all), delay(patienceMs, 'late')]);
    if (ended === 'late') this.#late = 'somebody did not end';
  }
  #late: string | undefined;

  /** Without unlink a disconnect that was lost cannot be told: then both copies hold everything. */
  get #isUntold(): boolean {
    const [source, destination] = [this.#source as Actor, this.#destination as Actor];
    return !this.#unlinks && source.end === 0 && destination.end !== 0 && /gone to/.test(source.said);
  }

  /** A first attempt that failed is not retried. */
  #wasRefused(): boolean {
    return this.#story.some((line) => /Mirror (failed|was)|Remote server|asker has ended with 1/.test(line));
  }

  #judge(): Outcome {
    const [source, destination] = [this.#source as Actor, this.#destination as Actor];
    const isThere = existsSync(this.#from.file);
    // nbd-migration, D.5
    const canonical = destination.end === 0 || !isThere ? 'destination' : 'source';
    const path = canonical === 'source' ? this.#from.file : this.#to.file;
    let wrong = this.#late ?? this.#model.judge(path);
    const crashed = [source, destination, this.#asker].find((actor) => /\n {4}at /.test(actor?.said ?? ''));
    if (crashed !== undefined) wrong ??= `the ${crashed.name} has crashed: ${crashed.said}`;
    const marked = existsSync(`${this.#to.file}.INCOMPLETE`);
    if (destination.end === 0 && marked) wrong ??= 'the destination has ended well and left its mark';
    // one that was killed between its last step and its end is complete, and not marked any more
    if (destination.end !== 0 && !marked) wrong ??= this.#model.judge(this.#to.file);
    if (this.#isUntold) wrong ??= this.#model.judge(this.#to.file);
    if (wrong !== undefined)
      this.#story.push(`source said: ${source.said}`, `destination said: ${destination.said}`);
    return { seed: this.#seed, story: this.#story, canonical, acked: this.#model.acked, wrong };
  }
}
