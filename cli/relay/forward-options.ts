/** Options of `millrace relay` that pass sessions on to other relays. */
import { resolve } from 'node:path';
import { targetOf } from '../../lib/index.ts';
import { type Option, parseBytes, parseWord } from '../options.ts';
import type { RelaySettings } from './settings.ts';

const forwarding = 'Forwarding';

export const forwardOptionTable: readonly Option<RelaySettings>[] = [
  {
    name: 'forward',
    argument: 'URI',
    section: forwarding,
    help: 'Pass everything on to another relay as well: net://HOST[:CTRL[:DATA]], net6://…, with hops in front: HOP1,HOP2,URI. Repeatable.',
    set: (settings, value) => {
      targetOf(value);
      settings.forward.push(value);
    },
  },
  {
    name: 'no-store',
    section: forwarding,
    help: 'Keep nothing here of what is passed on: only, while a live session lasts, its last packets for viewers.',
    set: (settings, on) => {
      settings.noStore = on;
    },
  },
  {
    name: 'spool',
    argument: 'DIR',
    section: forwarding,
    help: 'Where packets wait for the next relay.',
    default: '.millrace/spool in the output directory',
    set: (settings, value) => {
      settings.spoolPath = resolve(settings.cwd, value);
    },
  },
  {
    name: 'spool-size',
    argument: 'BYTES',
    section: forwarding,
    help: 'Bytes that may wait there; k, M and G are multiples of 1024.',
    default: '1G',
    set: (settings, value) => {
      settings.spoolSizeBytes = parseBytes(value);
    },
  },
  {
    name: 'spool-full',
    argument: 'POLICY',
    section: forwarding,
    help: 'What happens when it is full: push-back holds producers back, drop-oldest drops the oldest packets and counts them; at a millrace relay they get index records with offset -1.',
    default: 'push-back',
    set: (settings, value) => {
      settings.whenFull = parseWord(value, ['push-back', 'drop-oldest']);
    },
  },
  {
    name: 'allow-hops',
    section: forwarding,
    help: 'Pass sessions on for network consumers that name this relay as a hop.',
    set: (settings, on) => {
      settings.allowHops = on;
    },
  },
];
