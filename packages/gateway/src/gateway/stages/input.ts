/**
 * An operation's input: path over body over query string. Fields from the URL are put into the body itself, which
 * nobody else holds: copying a body with many fields takes longer than parsing it.
 */
export function toInput(
  query: Readonly<Record<string, unknown>>,
  body: Record<string, unknown> = {},
  params: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  for (const name of Object.keys(query)) if (!Object.hasOwn(body, name)) put(body, name, query[name])
  for (const name of Object.keys(params)) put(body, name, params[name])
  return body
}

function put(input: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') input[name] = value // which would not be a field
}
