/** What a request is answered with, complete before its first byte is sent. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function json(status: number, value: unknown): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: `${JSON.stringify(value)}\n`,
  };
}

export function text(body: string, contentType = 'text/plain; charset=utf-8'): Reply {
  return { status: 200, headers: { 'content-type': contentType }, body };
}

/**
 * An answer that says what is wrong.
 *
 * @param status 4xx or 5xx (RFC 9110 §15.5, §15.6)
 * @param error one sentence for people
 * @param details further keys of the body
 */
export function refusal(
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
  details: object = {},
): Reply {
  const reply = json(status, { error, ...details });
  return { ...reply, headers: { ...reply.headers, ...headers } };
}
