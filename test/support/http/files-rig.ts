// One worker that serves files, turned by hand, and a directory to serve them from.
import type { Test } from 'tap';
import type { FilesSnapshot } from '#src/proxy/files/index.js';
import type { HttpRouteSnapshot, HttpSnapshot } from '#src/proxy/http/http-snapshot.js';
import { routeOf } from '#test/proxy/http/requests.js';
import { silent } from '#test/proxy/http/rewriting/exchange-rig.js';
import type { RawPeer } from '../sockets/raw-peer.js';
import { type SocketKit, socketTest } from '../sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '../worker/worker-room.js';

/** What a listener answers. */
export interface FileReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A route of which nothing was said but its root. */
export function filesOf(root: string, files: Partial<FilesSnapshot> = {}): FilesSnapshot {
  return {
    kind: 'files',
    root,
    index: ['index.html'],
    tryFiles: [
      ['', ''],
      ['', '/'],
    ],
    notFound: null,
    listing: false,
    dotfiles: false,
    precompressed: [],
    etag: 'strong',
    cacheControl: [],
    contentTypes: {},
    revalidateMs: 1000,
    ...files,
  };
}

/** A listener with one route that serves files. */
export function fileHttp(
  root: string,
  files: Partial<FilesSnapshot> = {},
  route: Partial<HttpRouteSnapshot> = {},
): HttpSnapshot {
  return { ...silent, routes: [routeOf({ action: filesOf(root, files), ...route })] };
}

export class FilesRig {
  readonly room: TestRoom;
  private client: RawPeer;
  private heard = 0;

  constructor(
    readonly t: Test,
    kit: SocketKit,
    http: HttpSnapshot,
  ) {
    this.room = new TestRoom(kit, { http });
    this.client = this.room.client();
  }

  /** Goes on with another connection. */
  again(): this {
    this.client = this.room.client();
    this.heard = 0;
    return this;
  }

  /** Asks on a connection that is kept, and hears the whole answer. @param lines further ones of the head */
  ask(target: string, lines: readonly string[] = [], method = 'GET'): FileReply {
    this.say(target, lines, method);
    return this.hear(method);
  }

  say(target: string, lines: readonly string[] = [], method = 'GET'): void {
    const head = [`${method} ${target} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n');
    this.client.send(Buffer.from(head, 'latin1'));
  }

  /** The next answer. */
  hear(method = 'GET'): FileReply {
    const { client } = this;
    const next = () => client.received.subarray(this.heard);
    const isOver = () => client.isEnded || client.errno !== 0;
    this.room.until(() => {
      client.receive();
      return next().includes('\r\n\r\n') || isOver();
    });
    const headEnd = next().indexOf('\r\n\r\n') + 4;
    const [line, ...fields] = next()
      .toString('latin1', 0, headEnd - 4)
      .split('\r\n') as [string];
    const headers = Object.fromEntries(
      fields.map((field: string) => {
        const [name, value] = field.split(/: (.*)/s) as [string, string];
        return [name.toLowerCase(), value];
      }),
    );
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]);
    const hasBody = method !== 'HEAD' && status !== 304 && status !== 204;
    const length = hasBody ? Number(headers['content-length']) : 0;
    this.room.until(() => {
      client.receive();
      return client.receivedBytes >= this.heard + headEnd + length || isOver();
    }, 15_000);
    const body = Buffer.from(next().subarray(headEnd, headEnd + length));
    this.heard += headEnd + body.length;
    return { status, headers, body };
  }

  /** Nothing has come that nobody asked for. */
  expectSilence(): void {
    this.room.settle();
    this.client.receive();
    this.t.equal(this.client.receivedBytes, this.heard);
  }

  /** The client goes away. */
  hangUp(): void {
    this.client.close();
  }

  /** The connection was reset. */
  expectReset(): void {
    const { client } = this;
    this.room.until(() => {
      client.receive();
      return client.isEnded || client.errno !== 0;
    });
    this.t.not(client.errno, 0, 'a reset');
  }

  finish(): void {
    this.t.same(this.room.finish(), nothingLeft);
    this.t.equal(this.room.count('exceptions'), 0);
    this.t.equal(this.room.count('files_open'), 0);
    this.t.equal(this.room.http.files.cache.prepared.bytes, 0);
  }
}

/** @param http what is served, made from a directory of the test's own with `content` in it */
export function filesTest(
  name: string,
  content: Parameters<Test['testdir']>[0],
  http: (root: string) => HttpSnapshot,
  body: (rig: FilesRig, t: Test, root: string) => void,
): void {
  socketTest(`files: ${name}`, (t, kit) => {
    const root = t.testdir(content);
    const rig = new FilesRig(t, kit, http(root));
    body(rig, t, root);
    rig.finish();
  });
}
