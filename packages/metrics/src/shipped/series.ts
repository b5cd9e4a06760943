import { SeriesDefinition } from '@aduana/contracts/metrics/definition'

type Place = readonly [code: string, column: string | null, en: string, es: string, unit?: string]

const PRODUCTION: readonly Place[] = [
  ['production.rows', null, 'Production records', 'Registros de producción'],
  ['production.machine', 'maquina_codigo', 'Machine', 'Máquina'],
  ['production.operator', 'maquinista_codigo', 'Operator', 'Maquinista'],
  ['production.shift', 'turno', 'Shift', 'Turno'],
  ['production.material', 'material', 'Material', 'Material'],
  ['production.lot', 'lote', 'Lot', 'Lote'],
  ['production.quantity', 'cantidad', 'Pieces', 'Unidades', 'pieces'],
  ['production.net_weight', 'peso_neto', 'Net weight', 'Peso neto', 'kg'],
]

const ORDERS: readonly Place[] = [
  ['orders.rows', null, 'Orders', 'Pedidos'],
  ['orders.type', 'order_type', 'Order type', 'Tipo de pedido'],
  ['orders.time', 'timestamp', 'Time of the order', 'Fecha y hora del pedido'],
  ['orders.customer', 'customer_id', 'Customer', 'Cliente'],
  ['orders.items_count', 'items_count', 'Items', 'Ítems', 'items'],
]

const DKT: readonly Place[] = [
  ['dkt.rows', null, 'Time cards', 'Tarjetas de tiempo'],
  ['dkt.worker', 'trabajador_codigo', 'Worker', 'Trabajador'],
  ['dkt.cost_centre', 'centro_costo', 'Cost centre', 'Centro de costo'],
  ['dkt.shift', 'turno', 'Shift', 'Turno'],
  ['dkt.regular_hours', 'horas_ordinarias', 'Regular hours', 'Horas ordinarias', 'h'],
  ['dkt.overtime_hours', 'horas_extra', 'Overtime', 'Horas extra', 'h'],
  ['dkt.night_hours', 'horas_nocturnas', 'Night hours', 'Horas nocturnas', 'h'],
  ['dkt.holiday_hours', 'horas_festivas', 'Holiday hours', 'Horas festivas', 'h'],
]

const of = (dataset: string, places: readonly Place[]): SeriesDefinition[] =>
  places.map(([code, column, en, es, unit]) =>
    SeriesDefinition.parse({
      code,
      title: { en, es },
      dataset,
      column,
      ...(unit === undefined ? {} : { unit }),
    }),
  )

/** The shipped series. */
export const SHIPPED_SERIES: readonly SeriesDefinition[] = [
  ...of('production', PRODUCTION),
  ...of('orders', ORDERS),
  ...of('dkt', DKT),
]
