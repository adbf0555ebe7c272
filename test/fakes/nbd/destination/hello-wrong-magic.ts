import type { Sin } from '../destination.ts';

/** Is a newstyle server. */
export const helloWrongMagic: Sin = {
  hello: () => Buffer.from('4e42444d4147494349484156454f50540003', 'hex'),
  connect(socket) {
    socket.end(
      Buffer.concat([Buffer.from('4e42444d4147494349484156454f50540003', 'hex'), Buffer.alloc(134)]),
    );
    return true;
  },
};
