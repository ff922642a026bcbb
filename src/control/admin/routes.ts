import { Metrics, thisBuild } from '../metrics/index.js';
import { parseFlowQuery } from './flow-query.js';
import { masked } from './masking.js';
import { json, type Reply, refusal, text } from './reply.js';
import type { AdminRequest, Route } from './router.js';
import type { AdminTarget, EndpointOrder } from './target.js';

const ORDERS: readonly unknown[] = ['drain', 'ready'] satisfies EndpointOrder[];

/** Everything the admin endpoint offers, in the order of its index. */
export function adminRoutes(target: AdminTarget): Route[] {
  const metrics = new Metrics(() => target.statistics());
  const routes: Route[] = [
    {
      method: 'GET',
      path: '/',
      summary: 'this page',
      handle: () => text(index(routes)),
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'numbers for Prometheus',
      handle: async () => text(await metrics.expose(), metrics.contentType),
    },
    {
      method: 'GET',
      path: '/healthz',
      summary: '200 while a worker runs, else 503',
      isPublic: true,
      handle: () => state(target.isHealthy(), 'no worker runs'),
    },
    {
      method: 'GET',
      path: '/readyz',
      summary: '200 while every worker accepts connections, else 503',
      isPublic: true,
      handle: () =>
        state(target.isReady(), 'a worker accepts nothing: starting, replaced or draining'),
    },
    {
      method: 'GET',
      path: '/api/flows',
      summary: 'live flows; ?listener= upstream= client= state= sort=age|bytes limit=',
      handle: (request) => listFlows(target, request),
    },
    {
      method: 'DELETE',
      path: '/api/flows/:id',
      summary: 'ends a flow with a reset',
      handle: (request) => endFlow(target, request),
    },
    {
      method: 'GET',
      path: '/api/upstreams',
      summary: 'upstreams and the state of their endpoints',
      handle: () => json(200, { upstreams: target.upstreams() }),
    },
    {
      method: 'PUT',
      path: '/api/upstreams/:upstream/:endpoint',
      summary: '{"state": "drain"} or {"state": "ready"}',
      takesJson: true,
      handle: (request) => setEndpoint(target, request),
    },
    {
      method: 'GET',
      path: '/api/config',
      summary: 'the configuration in force, without its secrets',
      handle: () => json(200, masked(target.config())),
    },
    {
      method: 'POST',
      path: '/reload',
      summary: 'reads the configuration file again',
      handle: () => reload(target),
    },
  ];
  return routes;
}

function index(routes: readonly Route[]): string {
  const lines = routes.map(
    ({ method, path, summary }) => `${method.padEnd(7)} ${path.padEnd(35)} ${summary}\n`,
  );
  return `headgate ${thisBuild().version}\n\n${lines.join('')}`;
}

function state(isGood: boolean, problem: string): Reply {
  return isGood ? json(200, { status: 'ok' }) : refusal(503, problem);
}

async function listFlows(target: AdminTarget, { query }: AdminRequest): Promise<Reply> {
  const wanted = parseFlowQuery(query);
  if (typeof wanted === 'string') return refusal(400, wanted);
  return json(200, await target.flows(wanted));
}

async function endFlow(target: AdminTarget, { parameters }: AdminRequest): Promise<Reply> {
  const { id } = parameters;
  return (await target.endFlow(id!))
    ? json(200, { ended: id })
    : refusal(404, `there is no flow ${id}`);
}

function setEndpoint(target: AdminTarget, { parameters, body }: AdminRequest): Reply {
  const { upstream, endpoint } = parameters;
  const order = orderOf(body);
  if (order === undefined) {
    return refusal(400, 'expected {"state": "drain"} or {"state": "ready"}');
  }
  return target.setEndpoint(upstream!, endpoint!, order)
    ? json(200, { upstream, endpoint, state: order })
    : refusal(404, `there is no endpoint ${endpoint} in an upstream ${upstream}`);
}

function orderOf(body: Buffer): EndpointOrder | undefined {
  try {
    const { state } = JSON.parse(body.toString('utf8'));
    return ORDERS.includes(state) ? state : undefined;
  } catch {
    return undefined;
  }
}

async function reload(target: AdminTarget): Promise<Reply> {
  const result = await target.reload();
  if (result.ok) return json(200, { reloaded: true, changes: result.changes });
  // Nothing is wrong with the file, or nobody knows: it is for the process that comes after this one.
  if (target.isStopping()) {
    return refusal(503, 'the proxy is stopping and loads no configuration any more', {}, result);
  }
  return refusal(422, 'the configuration was not loaded; nothing was changed', {}, result);
}
