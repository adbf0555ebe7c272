/** Whole conversations of a client with a disk of at least 1 MiB, as bytes: what is asked for, and every command once. */
import { noise, u32 } from './bytes.ts';
import { mib } from './nbd.ts';
import { clientFlags, commands, contextQuery, exportQuery, option, request } from './nbd-bytes.ts';

const requests = Buffer.concat([
  request({ type: commands.write, cookie: 1, offset: 4096, length: 512 }),
  noise(512, 1),
  request({ type: commands.read, cookie: 2, length: 8192 }),
  request({ type: commands.status, cookie: 3, length: mib }),
  request({ type: commands.zero, cookie: 4, offset: 65_536, length: 65_536 }),
  request({ type: commands.trim, cookie: 5, offset: 131_072, length: 65_536 }),
  request({ type: commands.flush, cookie: 6 }),
  request({ type: commands.disc, cookie: 7 }),
]);

const newstyle = Buffer.concat([
  clientFlags,
  option(8),
  option(9, contextQuery('')),
  option(10, contextQuery('', 'base:allocation')),
  option(3),
  option(6, exportQuery('', 3)),
  option(7, exportQuery('', 3)),
  requests,
]);

const extended = Buffer.concat([
  clientFlags,
  option(11),
  option(7, exportQuery('')),
  u32(0x21e41c71),
  requests,
]);

export const conversations = [
  { name: 'newstyle', style: 'newstyle', said: newstyle },
  { name: 'extended headers', style: 'newstyle', said: extended },
  { name: 'oldstyle', style: 'oldstyle', said: requests },
] as const;
