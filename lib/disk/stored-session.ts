/** What a store knows of a session, and where that lies. */
import type { SessionOpen } from '../stage/frames.ts';
import type { ChunkHolder } from './chunk-registry.ts';
import { passingPath } from './passing.ts';
import type { ResumeBook } from './resume-book.ts';
import { checkNames, sessionPath } from './session-path.ts';
import type { StoreOptions } from './store-options.ts';

/** A session: one relay session, that is one consumer daemon's part of one. */
export interface StoredSession extends ChunkHolder {
  /** Seconds since 1970, the relay's clock. */
  readonly openedS: number;
  readonly streams: Set<number>;
  readonly isPassing: boolean;
  /** It may be taken up again, under this token. */
  readonly token: string | undefined;
  /** Its directory as producers are told of it. */
  readonly shownPath: string;
  /** What the producer was told of the chunk it closed last. */
  closedPath: string;
}

/** How a session opens that may be taken up again. `afresh`: from its beginning, in place of what is there. */
export interface Resumable {
  token: string;
  afresh: boolean;
}

/** Producers from this minor on name their sessions. */
const namesSince = 4;
/** Producers from this minor on have trace chunks. */
const chunksSince = 11;

/** Whether its producer knows trace chunks, and so a directory of the session. */
export function hasChunks({ minor }: SessionOpen): boolean {
  return minor >= chunksSince;
}

/**
 * A session that opens, in no trace chunk yet; one that may be taken up again (`resumable`) is noted in `book`. Errors:
 * MR_ERR_DISK_NAME, MR_ERR_DISK_CREATE.
 */
export function storedSession(
  open: SessionOpen,
  { isPassing: passes, grouping, placeOf }: Pick<StoreOptions, 'isPassing' | 'grouping' | 'placeOf'>,
  resumable: Resumable | undefined,
  book: ResumeBook,
): StoredSession {
  if (open.minor >= namesSince) checkNames(open);
  const isPassing = passes?.(open.session) ?? false;
  const wanted = hasChunks(open) ? sessionPath(open, grouping) : [];
  const shown = placeOf?.(open, wanted) ?? wanted;
  const path = isPassing ? [...passingPath, ...shown] : shown;
  const { token, afresh = true } = resumable ?? {};
  const resumes = token !== undefined && !afresh && book.pathOf(token) === path.join('/');
  if (token !== undefined) book.begin(token, path.join('/'), !afresh);
  return {
    open,
    path,
    openedS: Math.floor(Date.now() / 1000),
    current: undefined,
    awaitingClose: undefined,
    hasRotated: false,
    streams: new Set(),
    isPassing,
    token,
    resumes,
    shownPath: shown.join('/'),
    closedPath: '',
  };
}
