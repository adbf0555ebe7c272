/** What a scenario acts on: a world with a relay that listens, session daemons, traced programs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Inmate } from './inmate.ts';
import { normaliser } from './outcome.ts';
import { i386Folder, projectRoot } from './peers.ts';
import { type Ports, Relay, type RelayKind, standardPorts } from './relay.ts';
import { until } from './wait.ts';
import { World } from './world.ts';

type Cleaning = Pick<ExecutionContext, 'teardown'>;

export interface SceneOptions {
  /** More options of the relay. */
  relayArgs?: readonly string[] | undefined;
  relayEnv?: Record<string, string> | undefined;
  /** Record what producers say to the relay, and what it says, into this new frame log. */
  recordingPath?: string;
  /** Trace 32-bit programs as well, through a consumer daemon of their own. */
  consumer32?: boolean | undefined;
}

const behindRecorder: Ports = [15342, 15343, 15344];

export class Scene {
  readonly world: World;
  readonly relay: Relay;
  /** What every lttng command answered, in order: command line, exit status, text. */
  readonly answers: string[] = [];
  /** Every lttng command line, in order. */
  readonly commands: string[] = [];
  readonly #t: Cleaning;
  readonly #folder: string;
  /** Worlds in which a session daemon runs. */
  readonly #hosts: World[];
  readonly #recorder: Inmate | undefined;
  readonly #normal = normaliser();

  private constructor(t: Cleaning, world: World, relay: Relay, folder: string, recorder: Inmate | undefined) {
    this.#t = t;
    this.world = world;
    this.relay = relay;
    this.#folder = folder;
    this.#hosts = [world];
    this.#recorder = recorder;
  }

  /** Opens a world, starts the relay and a session daemon in it; all of it ends with the test. */
  static async open(t: Cleaning, kind: RelayKind, options: SceneOptions = {}): Promise<Scene> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-scene-'));
    if (process.env.MILLRACE_INTEROP_KEEP !== '1')
      t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const world = await World.open(t);
    const { recordingPath, relayArgs: args = [], relayEnv: env } = options;
    const ports = recordingPath === undefined ? standardPorts : behindRecorder;
    const relay = await Relay.start(world, { kind, outputPath: join(folder, 'out'), ports, args, env });
    const recorder = recordingPath === undefined ? undefined : await startRecorder(world, recordingPath);
    const i386 = options.consumer32 === true ? i386Folder() : undefined;
    compileEmitter(join(folder, 'emitter'), []);
    if (i386 !== undefined) compileEmitter(join(folder, 'emitter32'), compilerOptions32(i386));
    await startSessiond(
      world,
      i386 === undefined ? [] : ['--consumerd32-path', join(i386, 'lttng-consumerd32')],
    );
    return new Scene(t, world, relay, folder, recorder);
  }

  /**
   * Ends the session daemons, and with them the consumer daemons and all their connections, then the recorder.
   * The relay has nothing left to wait for.
   */
  async endProducers(): Promise<void> {
    const pids = (names: readonly string[]) =>
      this.#hosts.flatMap((host) => names.flatMap((name) => host.pidsOf(name)));
    for (const pid of pids(['lttng-sessiond'])) process.kill(pid, 'SIGTERM');
    // A 32-bit consumer daemon goes by the name of its loader, or of its emulator.
    const daemons = ['lttng-sessiond', 'lttng-consumerd', 'ld-linux.so.2', 'qemu-i386'];
    await until('the session and consumer daemons to end', () => pids(daemons).length === 0);
    this.#recorder?.kill('SIGTERM');
    await this.#recorder?.ended;
  }

  /** A second traced host on the same network, with a session daemon of its own. */
  async secondHost(hostname: string): Promise<World> {
    const world = await World.open(this.#t, { hostname, beside: this.world });
    await startSessiond(world);
    this.#hosts.push(world);
    return world;
  }

  /** A traced host in a network of its own, from which the relay's host is reached by `relayAddress`. */
  async farHost(hostname: string): Promise<{ world: World; relayAddress: string }> {
    const world = await World.open(this.#t, { hostname });
    const relayAddress = await world.linkTo(this.world);
    await startSessiond(world);
    this.#hosts.push(world);
    return { world, relayAddress };
  }

  /** Runs `lttng ARGS` (words separated by blanks) and keeps the answer. */
  async lttng(args: string, world = this.world): Promise<void> {
    this.commands.push(`lttng ${args}`);
    const { status, stdout, stderr } = await world.run('lttng', ['--no-sessiond', ...args.split(' ')]);
    this.answers.push(this.#normal(`lttng ${args}\nstatus ${status}\n${stdout}${stderr}`));
  }

  /** Starts a traced program on one processor; resolves when it is registered with the session daemon. */
  async emitter(world = this.world): Promise<Emitter> {
    return this.#emitter(world, [join(this.#folder, 'emitter')]);
  }

  /** The same as a 32-bit program; only in a scene with `consumer32`. */
  async emitter32(): Promise<Emitter> {
    return this.#emitter(this.world, [
      join(i386Folder() as string, 'with-libs'),
      join(this.#folder, 'emitter32'),
    ]);
  }

  async #emitter(world: World, command: readonly string[]): Promise<Emitter> {
    const program = world.start('taskset', ['-c', '0', ...command]);
    await program.line();
    return new Emitter(program);
  }

  /** Runs a traced program that emits and ends. Resolves with its events. */
  async shortProgram(count: number, world = this.world): Promise<string[]> {
    const emitter = await this.emitter(world);
    const events = await emitter.emit(count);
    await emitter.finish();
    return events;
  }
}

/** A traced program that emits what it is told. */
export class Emitter {
  readonly #program: Inmate;
  #seq = 0;

  constructor(program: Inmate) {
    this.#program = program;
  }

  /**
   * Emits `count` pairs of events, tick and tock. Resolves, when they are in the buffers, with the lines in
   * which babeltrace2 must show them.
   */
  async emit(count: number, textBytes = 16, delayUs = 0): Promise<string[]> {
    const events = this.begin(count, textBytes, delayUs);
    const emitted = Number(await this.#program.line());
    if (emitted !== this.#seq) throw new Error(`emitter is at ${emitted}, expected ${this.#seq}`);
    return events;
  }

  /** The same, without waiting: the program may never get there. */
  begin(count: number, textBytes = 16, delayUs = 0): string[] {
    this.#program.tell(`${count} ${textBytes} ${delayUs}`);
    const events: string[] = [];
    for (const end = this.#seq + count; this.#seq < end; this.#seq += 1) {
      const text = String.fromCharCode(97 + (this.#seq % 26)).repeat(textBytes);
      events.push(`millrace:tick: { cpu_id = 0 }, { seq = ${this.#seq}, text = "${text}" }`);
      events.push(`millrace:tock: { cpu_id = 0 }, { seq = ${this.#seq} }`);
    }
    return events;
  }

  async finish(): Promise<void> {
    await this.#program.finish();
  }

  async kill(): Promise<void> {
    this.#program.kill('SIGKILL');
    await this.#program.ended;
  }
}

/** The events of one name. */
export function named(name: 'tick' | 'tock', events: readonly string[]): string[] {
  return events.filter((event) => event.startsWith(`millrace:${name}:`));
}

async function startSessiond(world: World, options: readonly string[] = []): Promise<void> {
  const { status, stderr } = await world.run('lttng-sessiond', ['--daemonize', '--no-kernel', ...options]);
  if (status !== 0) throw new Error(`lttng-sessiond did not start: ${stderr}`);
}

/** Starts `millrace capture` on the standard ports; SIGTERM ends it when everybody has hung up. */
async function startRecorder(world: World, path: string): Promise<Inmate> {
  const program = join(projectRoot, 'dist/cli/bin.js');
  const places = [standardPorts, behindRecorder].map(([control, data, live]) => ({
    producers: `net://127.0.0.1:${control}:${data}`,
    viewers: `live://127.0.0.1:${live}`,
  }));
  const [here, there] = places as [(typeof places)[0], (typeof places)[0]];
  const pairs = [here.producers, there.producers, here.viewers, there.viewers];
  const recorder = world.start(process.execPath, [program, 'capture', '--json', path, ...pairs]);
  await recorder.line();
  return recorder;
}

/** The machine's own compiler, with the libraries of the 32-bit folder, its own among them. */
function compilerOptions32(i386: string): string[] {
  const compilers = join(i386, 'usr/lib/gcc/i686-linux-gnu');
  return ['-m32', '--sysroot', i386, ...readdirSync(compilers).map((version) => `-B${compilers}/${version}`)];
}

function compileEmitter(program: string, options: readonly string[]): void {
  const sources = join(projectRoot, 'test/interop/programs');
  const source = join(sources, 'emitter.c');
  execFileSync('gcc', ['-O1', ...options, '-I', sources, '-o', program, source, '-llttng-ust', '-ldl']);
}
