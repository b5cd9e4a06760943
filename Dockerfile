# One image for the API, the workers and the migration: docker-compose.yml gives each its command.
# It installs and builds with the very commands of `npm start` (apps/local/src/install.mjs and checkout.mjs).

FROM node:24-bookworm-slim AS build
ENV CI=true TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 PATH=/app/node_modules/.bin:$PATH
WORKDIR /app
COPY . .
RUN npx --yes "$(node -p 'require("./package.json").packageManager')" install --frozen-lockfile
RUN turbo run build --output-logs=errors-only
# From here on only what runs: the dependencies of the programs, without tools and without the embedded PostgreSQL.
RUN find . -name node_modules -prune -exec rm -rf {} + \
  && rm -rf .turbo apps/local/dist \
  && npx --yes "$(node -p 'require("./package.json").packageManager')" install --frozen-lockfile --prod --offline \
    --filter '@aduana/api...' --filter '@aduana/worker...' --filter '@aduana/cli...'

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 ADUANA_DATA_DIR=/data
WORKDIR /app
# A named volume takes over this owner when it is first used.
RUN mkdir /data && chown node:node /data
COPY --from=build /app /app
USER node
VOLUME /data
EXPOSE 3000
CMD ["node", "--max-old-space-size=160", "--max-semi-space-size=4", "apps/api/dist/main.js"]
