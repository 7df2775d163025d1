/**
 * An operation's input: path over body over query string. What comes from the URL is put into the body, which nobody else has: to copy a
 * body with many fields takes longer than to parse it.
 */
export function toInput(query: Readonly<Record<string, unknown>>, body: Record<string, unknown> = {}, params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  for (const name of Object.keys(query)) if (!Object.hasOwn(body, name)) put(body, name, query[name])
  for (const name of Object.keys(params)) put(body, name, params[name])
  return body
}

function put(input: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') input[name] = value // which would not be a field
}
