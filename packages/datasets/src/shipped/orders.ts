import { DatasetDefinition, type DatasetDefinitionInput } from '@aduana/contracts/dataset-definition'
import { NO_VALUE } from './no-value.ts'

type ColumnInput = DatasetDefinitionInput['columns'][number]

const MOMENTS = [
  'YYYY-MM-DD HH:MM:SS',
  'ISO8601',
  'YYYY/MM/DD HH:MM',
  'YYYY/MM/DD HH:MM:SS',
  'D/M/YYYY H:MM',
  'D/M/YYYY H:MM:SS',
] as const

const columns: ColumnInput[] = [
  {
    name: 'order_id',
    type: 'text',
    title: { en: 'Order', es: 'Pedido' },
    required: true,
    maxLength: 50,
    aliases: ['orden', 'id orden', 'pedido', 'número de pedido', 'order', 'order number'],
  },
  {
    name: 'order_type',
    type: 'text',
    title: { en: 'Order type', es: 'Tipo de pedido' },
    code: true,
    maxLength: 50,
    aliases: ['tipo', 'tipo de orden', 'tipo de pedido', 'type'],
  },
  {
    name: 'timestamp',
    type: 'timestamp',
    title: { en: 'Time of the order', es: 'Fecha y hora del pedido' },
    required: true,
    formats: [...MOMENTS],
    aliases: ['fecha', 'fecha y hora', 'fecha orden', 'fecha pedido', 'order date', 'order timestamp'],
  },
  {
    name: 'customer_id',
    type: 'text',
    title: { en: 'Customer', es: 'Cliente' },
    code: true,
    maxLength: 50,
    aliases: ['cliente', 'id cliente', 'código cliente', 'customer'],
  },
  {
    name: 'items_count',
    type: 'integer',
    zeroFraction: 'either',
    title: { en: 'Items', es: 'Ítems' },
    min: 0,
    aliases: ['items', 'ítems', 'cantidad de ítems', 'número de ítems'],
  },
  {
    name: 'company',
    type: 'text',
    title: { en: 'Company', es: 'Empresa' },
    required: true,
    maxLength: 100,
    aliases: ['empresa', 'compañía'],
  },
  {
    name: 'warehouse',
    type: 'text',
    title: { en: 'Warehouse', es: 'Bodega' },
    required: true,
    maxLength: 100,
    aliases: ['bodega', 'almacén', 'centro de distribución'],
  },
  {
    name: 'source_modified_timestamp',
    type: 'timestamp',
    title: { en: 'Changed at the source', es: 'Modificado en el origen' },
    required: true,
    formats: [...MOMENTS],
    aliases: [
      'modified',
      'modified at',
      'fecha modificación',
      'fecha de modificación',
      'última modificación',
    ],
  },
]

/** Orders of the warehouses, as their source system exports them. The newest version of an order takes precedence. */
export const orders = DatasetDefinition.parse({
  code: 'orders',
  title: { en: 'Orders', es: 'Pedidos' },
  nullWords: NO_VALUE,
  table: { name: 'order_detail' },
  columns,
  loadMode: 'upsert',
  key: ['order_id'],
  versionColumn: 'source_modified_timestamp',
  windowColumn: 'timestamp',
  scope: { company: 'company', warehouse: 'warehouse' },
  sortBy: ['order_id'],
  loadedAtColumn: 'etl_loaded_at',
})
