/** Classes of statuses; requests whose client went away before there was one are `none`. */
export const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;
export type StatusClass = (typeof statusClasses)[number];

/** Position of a status in {@link statusClasses}. @param status 0 where there was none */
export function statusClassOf(status: number): number {
  // What no registry knows is at least an answer (RFC 9110 §15).
  return Math.min(Math.floor(status / 100), statusClasses.length - 1);
}
