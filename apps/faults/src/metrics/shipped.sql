-- The expected values of the shipped metrics, computed from the tables alone: metric, date, company, warehouse, value.
with
production_days as (
  select fecha_contabilizacion as date,
    sum(cantidad)::numeric as pieces,
    sum(peso_neto) as weight,
    count(*)::numeric as records,
    count(distinct maquina_id)::numeric as machines,
    count(distinct maquinista_id)::numeric as operators,
    count(distinct lote)::numeric as lots,
    percentile_cont(0.5) within group (order by peso_neto)::numeric as median_weight,
    sum(cantidad) filter (where turno = 3)::numeric as pieces_at_night
  from fact_production group by 1
),
production_windows as (
  select *,
    sum(pieces) over week as pieces_7_days,
    avg(pieces) over week as pieces_7_days_average,
    sum(weight) over (order by date range between interval '29 days' preceding and current row) as weight_30_days,
    sum(pieces) over (partition by date_trunc('month', date) order by date) as pieces_month,
    sum(pieces) over (partition by date_trunc('year', date) order by date) as pieces_year,
    sum(weight) over (partition by date_trunc('month', date) order by date) as weight_month
  from production_days
  window week as (order by date range between interval '6 days' preceding and current row)
),
production as (
  select v.metric, d.date, null::text as company, null::text as warehouse, v.value
  from production_windows d left join production_windows b on b.date = d.date - 7,
    lateral (values
      ('production.pieces', d.pieces),
      ('production.weight', d.weight),
      ('production.records', d.records),
      ('production.machines_active', d.machines),
      ('production.operators_active', d.operators),
      ('production.lots', d.lots),
      ('production.median_weight', d.median_weight),
      ('production.pieces_third_shift', d.pieces_at_night),
      ('production.third_shift_share', 100 * d.pieces_at_night / nullif(d.pieces, 0)),
      ('production.weight_per_piece', d.weight / nullif(d.pieces, 0)),
      ('production.pieces_per_machine', d.pieces / nullif(d.machines, 0)),
      ('production.pieces_per_operator', d.pieces / nullif(d.operators, 0)),
      ('production.pieces_7_days', d.pieces_7_days),
      ('production.pieces_7_days_average', d.pieces_7_days_average),
      ('production.weight_30_days', d.weight_30_days),
      ('production.pieces_month_to_date', d.pieces_month),
      ('production.pieces_year_to_date', d.pieces_year),
      ('production.weight_month_to_date', d.weight_month),
      ('production.pieces_growth', 100 * (d.pieces / nullif(b.pieces, 0) - 1)),
      ('production.pieces_7_days_growth', 100 * (d.pieces_7_days / nullif(b.pieces_7_days, 0) - 1))
    ) as v(metric, value)
),
card_days as (
  select fecha as date,
    sum(horas_ordinarias)::numeric as regular,
    sum(horas_extra)::numeric as overtime,
    sum(horas_nocturnas)::numeric as night,
    sum(horas_festivas)::numeric as holiday,
    sum(coalesce(horas_ordinarias, 0) + coalesce(horas_extra, 0) + coalesce(horas_nocturnas, 0)
      + coalesce(horas_festivas, 0))::numeric as hours,
    count(distinct trabajador_codigo)::numeric as people
  from resumen_tarjeta group by 1
),
card_windows as (
  select *,
    sum(hours) over week as hours_7_days,
    avg(people) over week as people_7_days,
    sum(hours) over (partition by date_trunc('month', date) order by date) as hours_month
  from card_days
  window week as (order by date range between interval '6 days' preceding and current row)
),
-- A day without overtime has no sum since the first of the month either.
overtime_month as (
  select date, sum(overtime) over (partition by date_trunc('month', date) order by date) as value
  from card_days where overtime is not null
),
cards as (
  select v.metric, d.date, null::text as company, null::text as warehouse, v.value
  from card_windows d left join card_windows b on b.date = d.date - 7 left join overtime_month o on o.date = d.date,
    lateral (values
      ('dkt.regular_hours', d.regular),
      ('dkt.overtime_hours', d.overtime),
      ('dkt.night_hours', d.night),
      ('dkt.holiday_hours', d.holiday),
      ('dkt.hours', d.hours),
      ('dkt.people', d.people),
      ('dkt.overtime_share', 100 * coalesce(d.overtime, 0) / nullif(d.hours, 0)),
      ('dkt.hours_per_person', d.hours / nullif(d.people, 0)),
      ('dkt.hours_7_days', d.hours_7_days),
      ('dkt.people_7_days_average', d.people_7_days),
      ('dkt.hours_month_to_date', d.hours_month),
      ('dkt.overtime_month_to_date', o.value),
      ('dkt.hours_growth', 100 * (d.hours / nullif(b.hours, 0) - 1))
    ) as v(metric, value)
),
ordered as (
  select *, (timestamp at time zone 'America/Bogota')::date as date from order_detail
),
-- Every warehouse on every day on which some warehouse has orders: sums over days continue on days without orders.
cells as (
  select date, company, warehouse
  from (select distinct date from ordered) d, (select distinct company, warehouse from ordered) c
),
order_cells as (
  select date, company, warehouse,
    count(*)::numeric as orders,
    sum(items_count)::numeric as items,
    count(distinct customer_id)::numeric as customers,
    max(items_count)::numeric as largest
  from ordered group by 1, 2, 3
),
order_windows as (
  select date, company, warehouse, o.orders, o.items, o.customers, o.largest,
    sum(o.orders) over (partition by company, warehouse
      order by date range between interval '6 days' preceding and current row) as orders_7_days,
    sum(o.orders) over (partition by company, warehouse, date_trunc('month', date) order by date) as orders_month
  from cells left join order_cells o using (date, company, warehouse)
),
orders as (
  select v.metric, d.date, d.company, d.warehouse, v.value
  from order_windows d
    left join order_cells b on b.company = d.company and b.warehouse = d.warehouse and b.date = d.date - 7,
    lateral (values
      ('orders.orders', d.orders),
      ('orders.items', d.items),
      ('orders.customers', d.customers),
      ('orders.largest_order', d.largest),
      ('orders.items_per_order', d.items / nullif(d.orders, 0)),
      ('orders.orders_per_customer', d.orders / nullif(d.customers, 0)),
      ('orders.orders_7_days', d.orders_7_days),
      ('orders.orders_month_to_date', d.orders_month),
      ('orders.orders_growth', 100 * (d.orders / nullif(b.orders, 0) - 1))
    ) as v(metric, value)
),
company_days as (
  select date, company,
    count(*)::numeric as orders,
    sum(items_count)::numeric as items,
    count(distinct customer_id)::numeric as customers
  from ordered group by 1, 2
),
companies as (
  select v.metric, d.date, d.company, null::text as warehouse, v.value
  from company_days d,
    lateral (values
      ('orders.company_orders', d.orders),
      ('orders.company_items', d.items),
      ('orders.company_customers', d.customers),
      ('orders.company_items_per_order', d.items / nullif(d.orders, 0))
    ) as v(metric, value)
)
select * from (
  select * from production union all select * from cards union all select * from orders union all select * from companies
) wanted
where value is not null
