import { z } from 'zod'

const Node = z.looseObject({
  $ref: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
  oneOf: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
})

/**
 * The fields of a JSON Schema as the guide writes them, `inputs[].dataset`, each with whether it is optional where it can
 * be. What several schemas share by name is described once, and not looked into.
 */
export function fieldsOf(schema: unknown, at = ''): Map<string, boolean> {
  const node = Node.parse(schema)
  const fields = new Map<string, boolean>()
  const add = (more: ReadonlyMap<string, boolean>) => {
    for (const [field, optional] of more) fields.set(field, optional)
  }
  for (const variant of [...(node.oneOf ?? []), ...(node.anyOf ?? [])]) add(fieldsOf(variant, at))
  for (const [name, value] of Object.entries(node.properties ?? {})) {
    const path = at === '' ? name : `${at}.${name}`
    const items = Node.safeParse(Node.parse(value).items)
    const list = items.data?.properties !== undefined
    fields.set(list ? `${path}[]` : path, !node.required?.includes(name))
    add(list ? fieldsOf(items.data, `${path}[]`) : fieldsOf(value, path))
  }
  return fields
}
