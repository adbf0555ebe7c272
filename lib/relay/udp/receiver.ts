/** Where datagrams come in: each belongs to the session whose token it carries, and to nobody else. */
import { MillraceError, why } from '../../errors.ts';
import { listenUdp, type UdpListener } from '../../network/udp.ts';
import { tell } from '../../telemetry.ts';
import { datagram } from '../../wire/relay/index.ts';
import type { ListenAddress } from '../options.ts';
import type { RelaySession } from '../session.ts';
import type { RelayState } from '../state.ts';
import { UdpFlow } from './flow.ts';

/** See the file's head. */
export class UdpReceiver {
  readonly #relay: RelayState;
  readonly #flows = new Map<bigint, UdpFlow>();
  #listener: UdpListener | undefined;
  /** Datagrams of no session, or that are none. */
  strangers = 0;

  private constructor(relay: RelayState) {
    this.#relay = relay;
  }

  /** Listens. Rejects MR_ERR_NETWORK_LISTEN. */
  static async open(address: ListenAddress, relay: RelayState): Promise<UdpReceiver> {
    const receiver = new UdpReceiver(relay);
    receiver.#listener = await listenUdp(address, (bytes) => receiver.#take(bytes));
    return receiver;
  }

  get address(): ListenAddress {
    return (this.#listener as UdpListener).address;
  }

  get bufferBytes(): number {
    return (this.#listener as UdpListener).bufferBytes;
  }

  /** A session's packets will come as datagrams. Throws MR_ERR_RELAY_STATE where it has a data connection. */
  open(session: RelaySession): UdpFlow {
    const flow = new UdpFlow(this.#relay, session, ({ token }) => this.#flows.delete(token));
    if (!session.bindData(flow))
      throw new MillraceError('MR_ERR_RELAY_STATE', {
        command: 'udpOpen',
        expected: 'a session without a data connection',
      });
    this.#flows.set(flow.token, flow);
    return flow;
  }

  /** The flow of a session. Throws MR_ERR_RELAY_STATE where it has none. */
  flowOf(session: RelaySession): UdpFlow {
    for (const flow of this.#flows.values()) if (flow.isOf(session)) return flow;
    throw new MillraceError('MR_ERR_RELAY_STATE', { command: 'udpSent', expected: 'udpOpen before it' });
  }

  #take(bytes: Buffer): void {
    try {
      const { token, sequence, ...fragment } = datagram.decode(bytes);
      const flow = this.#flows.get(token);
      if (flow === undefined) this.strangers += 1;
      else flow.datagram(sequence, fragment);
    } catch (error) {
      this.strangers += 1;
      tell('debug', 'relay:udp', `a datagram that is none: ${why(error)}`);
    }
  }

  /** Takes nothing more, and ends what is open. */
  async close(): Promise<void> {
    for (const flow of this.#flows.values()) flow.destroy();
    await this.#listener?.close();
  }
}
