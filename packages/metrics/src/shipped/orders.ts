import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { aggregate, declareIn, growth, ratio, rolling, sumSince } from './expressions.ts'

const byWarehouse = declareIn('orders', 'warehouse')
const byCompany = declareIn('orders', 'company')

/** Orders by day, company and warehouse; the `company_` metrics by company. */
export const ORDERS_METRICS: readonly MetricDefinitionInput[] = [
  byWarehouse('orders', aggregate('count', 'orders.rows'), 'Orders', 'Pedidos'),
  byWarehouse('items', aggregate('sum', 'orders.items_count'), 'Items', 'Ítems', 'items'),
  byWarehouse('customers', aggregate('distinct', 'orders.customer'), 'Customers', 'Clientes'),
  byWarehouse(
    'largest_order',
    aggregate('max', 'orders.items_count'),
    'Largest order',
    'Mayor pedido',
    'items',
  ),
  byWarehouse(
    'items_per_order',
    ratio('orders.items', 'orders.orders'),
    'Items per order',
    'Ítems por pedido',
    'items',
  ),
  byWarehouse(
    'orders_per_customer',
    ratio('orders.orders', 'orders.customers'),
    'Orders per customer',
    'Pedidos por cliente',
  ),
  byWarehouse('orders_7_days', rolling('sum', 'orders.orders', 7), 'Orders in 7 days', 'Pedidos en 7 días'),
  byWarehouse(
    'orders_month_to_date',
    sumSince('month', 'orders.orders'),
    'Orders, month to date',
    'Pedidos del mes a la fecha',
  ),
  byWarehouse(
    'orders_growth',
    growth('orders.orders', 7),
    'Orders against a week before',
    'Pedidos frente a la semana anterior',
    '%',
  ),
  byCompany(
    'company_orders',
    aggregate('count', 'orders.rows'),
    'Orders of a company',
    'Pedidos de una empresa',
  ),
  byCompany(
    'company_items',
    aggregate('sum', 'orders.items_count'),
    'Items of a company',
    'Ítems de una empresa',
    'items',
  ),
  byCompany(
    'company_customers',
    aggregate('distinct', 'orders.customer'),
    'Customers of a company',
    'Clientes de una empresa',
  ),
  byCompany(
    'company_items_per_order',
    ratio('orders.company_items', 'orders.company_orders'),
    'Items per order of a company',
    'Ítems por pedido de una empresa',
    'items',
  ),
]
