import { type Reply, refusal } from './reply.js';

/** A request that has passed the guard, as a route sees it. */
export interface AdminRequest {
  /** What stands in the place of the pattern's `:names`, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Empty for GET. */
  readonly body: Buffer;
}

/** One thing that can be asked for. */
export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** `/api/flows/:id`: a segment with a colon matches any one segment. */
  readonly path: string;
  /** For the index. */
  readonly summary: string;
  /** For probes that cannot bring a token; tells nobody anything else. */
  readonly isPublic?: boolean;
  /** The body is needed, and JSON. */
  readonly takesJson?: boolean;
  readonly handle: (request: AdminRequest) => Reply | Promise<Reply>;
}

/** A route, and what stands in the place of its `:names`. */
export interface Match {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Finds the route of a request. */
export class Router {
  constructor(private readonly routes: readonly Route[]) {}

  /**
   * @param method HEAD is answered as GET
   * @param path of the request target, still encoded
   * @returns the route, or 404, or 405 with what the path does allow
   */
  find(method: string, path: string): Match | Reply {
    const segments = decodeSegments(path);
    if (segments === undefined) return refusal(400, 'the path is not well encoded');
    const there = this.routes.flatMap((route) => {
      const parameters = match(route.path.split('/'), segments);
      return parameters === undefined ? [] : [{ route, parameters }];
    });
    if (there.length === 0) return refusal(404, 'there is nothing here; GET / says what there is');
    const wanted = method === 'HEAD' ? 'GET' : method;
    const found = there.find(({ route }) => route.method === wanted);
    if (found !== undefined) return found;
    const allowed = there.flatMap(({ route }) =>
      route.method === 'GET' ? ['GET', 'HEAD'] : route.method,
    );
    return refusal(405, `${method} does not apply here`, { allow: allowed.join(', ') });
  }
}

/** Segments are split before they are decoded: a unix socket's path is one of them. */
function decodeSegments(path: string): string[] | undefined {
  try {
    return path.split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function match(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index]!;
    if (expected.startsWith(':') && segment !== '') parameters[expected.slice(1)] = segment;
    else if (expected !== segment) return undefined;
  }
  return parameters;
}
