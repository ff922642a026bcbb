import Type from 'typebox';
import { type Description, optional, text } from './schema-terms.js';

const OFF = 'off';

/** Never, or after a while. */
function limitedTime(description: Omit<Description, 'default'> & { default?: typeof OFF }) {
  const time = text({ duration: { from: '1ms', to: '168h' } });
  return Type.Union([Type.Enum([OFF]), time], { unit: 'ms, s, m, h', ...description });
}

const request = {
  title: 'request timeout',
  description:
    'How long a request may take, from the first byte of its head to the last one of its response; then it is answered with 504, or 408 while its body is waited for, or cut off where the response has begun. Upgrades and CONNECT are exempt once there is a tunnel. Not for routes with event streams, long polling or large files.',
  examples: ['30s'],
};

const response = {
  title: 'response timeout',
  description:
    'How long an endpoint may take to begin its response, once it has the whole request; then the answer is 504. Long polling needs more than the poll takes.',
  examples: ['10s'],
};

const tunnel = {
  title: 'tunnel timeout',
  unit: 'ms, s, m, h',
  description:
    'How long a WebSocket, another upgraded connection or a CONNECT may stay without a byte in either direction; as long as `idle` unless set.',
  examples: ['1h'],
};

/** Keys of `timeouts` that are for requests. */
export const requestTimeouts = {
  request: optional(limitedTime({ ...request, default: OFF })),
  response: optional(limitedTime({ ...response, default: OFF })),
  tunnel: Type.Optional(text({ duration: { from: '1ms', to: '168h' } }, tunnel)),
};

/** A route's own timeouts. */
export const routeTimeouts = {
  timeouts: Type.Optional(
    Type.Object(
      {
        connect: Type.Optional(
          text(
            { duration: { from: '1ms', to: '1h' } },
            {
              title: 'connect timeout of the route',
              description: 'How long an endpoint may take to accept a connection.',
              unit: 'ms, s, m, h',
              examples: ['500ms'],
            },
          ),
        ),
        idle: Type.Optional(
          text(
            { duration: { from: '1ms', to: '168h' } },
            {
              title: 'idle timeout of the route',
              description:
                'How long nothing may move in either direction while a request is under way.',
              unit: 'ms, s, m, h',
              examples: ['1h'],
            },
          ),
        ),
        request: Type.Optional(limitedTime(request)),
        response: Type.Optional(limitedTime(response)),
        tunnel: requestTimeouts.tunnel,
      },
      {
        title: 'timeouts of the route',
        description: 'How long to wait for what, instead of the `timeouts` of the whole file.',
        additionalProperties: false,
        examples: [
          { request: '10s', connect: '500ms' },
          { request: 'off', idle: '1h' },
        ],
      } satisfies Description,
    ),
  ),
};
