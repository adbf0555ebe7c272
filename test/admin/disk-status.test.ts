import test from 'ava';
import { formatDiskStatus, isDiskStatus } from '../../lib/admin/disk-status.ts';
import type { NbdServerStatus } from '../../lib/nbd/index.ts';

const status: NbdServerStatus = {
  addresses: ['127.0.0.1:10809', '/run/disk.sock'],
  clientsAllowed: true,
  access: { entries: [], defaultDeny: true },
  exports: [
    {
      name: 'disk',
      path: '/srv/disk\x1b.img',
      sizeBytes: 1024 ** 3,
      readOnly: true,
      allocationMap: 'built',
      allocatedBytes: 4096,
    },
  ],
  clients: [
    {
      peer: '10.0.0.7:5000',
      exportName: 'disk',
      agreed: 'newstyle, structured replies',
      connectedS: 3,
      inFlight: 2,
      requests: 10,
      failed: 1,
      bytesRead: 3 * 1024 ** 2,
      bytesWritten: 0,
    },
  ],
};

test('exports, access and clients are told, with rates from the second look on', (t) => {
  t.true(isDiskStatus(status));
  t.false(isDiskStatus({ sessions: [] }));
  const text = formatDiskStatus({ status, atMs: 1000 });
  t.regex(text, /listening +127\.0\.0\.1:10809, \/run\/disk\.sock/);
  t.regex(text, /access +nobody/);
  t.regex(text, /"disk" +1\.0 GiB +4\.0 KiB +built +\/srv\/disk\\x1b\.img \(read-only\)/);
  t.regex(text, /10\.0\.0\.7:5000 +"disk" +newstyle, structured replies +2 +10 +1 +3\.0 MiB +- +0 B +-/);
  const [client] = status.clients;
  const later = { ...status, clients: [{ ...client, bytesRead: 5 * 1024 ** 2 }] } as NbdServerStatus;
  t.regex(formatDiskStatus({ status: later, atMs: 2000 }, { status, atMs: 1000 }), /5\.0 MiB +2\.0 MiB\/s/);
});
