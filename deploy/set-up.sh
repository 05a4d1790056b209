#!/bin/sh
# Makes the secrets and certificates of a deployment, once: a folder under $1 for each service, which sees no other's. What exists
# is left as it is, so that your own certificates or an old pepper stay. Run by `docker compose up` before everything else.
set -eu
umask 077
out=${1:?usage: set-up.sh FOLDER}
# Of the user in the image, and of `postgres` and `redis` in theirs.
keyward=${KEYWARD_UID:-10001} postgres=${POSTGRES_UID:-999} redis=${REDIS_UID:-999}
planes='key-plane data-plane auditor worker'

secret() { openssl rand -hex 24; }
# once FILE COMMAND…: the command's output becomes the file, whole or not at all.
once() {
  file=$1
  shift
  [ -e "$file" ] && return
  "$@" >"$file.new"
  mv "$file.new" "$file"
}

mkdir -p "$out/authority"
once "$out/authority/ca.key" openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
once "$out/authority/ca.crt" openssl req -x509 -key "$out/authority/ca.key" -days 3650 -subj '/CN=Keyward deployment' -sha256
once "$out/authority/pepper" openssl rand 32
once "$out/authority/worker-key" openssl genpkey -algorithm X25519
once "$out/authority/worker-key.pub" openssl pkey -in "$out/authority/worker-key" -pubout
once "$out/authority/metrics-token" secret
for role in superuser owner key_plane data_plane auditor worker queue; do once "$out/authority/password-$role" secret; done
password() { cat "$out/authority/password-$1"; }

# certificate SERVICE: for its name on the containers' network, and for localhost.
certificate() {
  once "$out/$1/server.key" openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
  [ -e "$out/$1/server.crt" ] && return
  printf 'subjectAltName=DNS:%s,DNS:localhost\nextendedKeyUsage=serverAuth\n' "$1" >"$out/$1/names"
  openssl req -new -key "$out/$1/server.key" -subj "/CN=$1" |
    openssl x509 -req -CA "$out/authority/ca.crt" -CAkey "$out/authority/ca.key" -CAcreateserial -days 825 -sha256 \
      -extfile "$out/$1/names" -out "$out/$1/server.crt.new" 2>/dev/null
  mv "$out/$1/server.crt.new" "$out/$1/server.crt"
  rm "$out/$1/names"
}

for service in postgres redis provision custodian backup metrics $planes; do
  mkdir -p "$out/$service"
  cp "$out/authority/ca.crt" "$out/$service/ca.crt"
done
for service in postgres redis $planes; do certificate "$service"; done

passwords() {
  printf '{"keyward_owner":"%s","keyward_key_plane":"%s","keyward_data_plane":"%s","keyward_auditor":"%s","keyward_worker":"%s"}\n' \
    "$(password owner)" "$(password key_plane)" "$(password data_plane)" "$(password auditor)" "$(password worker)"
}
passfile() { printf '*:*:*:%s:%s\n' "$1" "$2"; }

once "$out/postgres/superuser-password" password superuser
once "$out/postgres/pg_hba.conf" printf 'local all all scram-sha-256\nhostssl all all all scram-sha-256\n'
once "$out/provision/pgpass" passfile postgres "$(password superuser)"
once "$out/provision/role-passwords.json" passwords
once "$out/redis/users.acl" printf 'user default off\nuser keyward on >%s ~keyward:* &* +@all -@dangerous +info\n' "$(password queue)"
once "$out/redis/password" password queue
once "$out/worker/redis-password" password queue
once "$out/custodian/pin" secret
once "$out/custodian/so-pin" secret
for plane in $planes; do
  role=$(printf %s "$plane" | tr - _)
  once "$out/$plane/pgpass" passfile "keyward_$role" "$(password "$role")"
  once "$out/$plane/pepper" cat "$out/authority/pepper"
  once "$out/$plane/metrics-token" cat "$out/authority/metrics-token"
done
once "$out/metrics/token" cat "$out/authority/metrics-token"
once "$out/backup/pgpass" passfile postgres "$(password superuser)"
for key in pepper worker-key; do once "$out/backup/$key" cat "$out/authority/$key"; done
once "$out/key-plane/worker-key.pub" cat "$out/authority/worker-key.pub"
once "$out/worker/worker-key" cat "$out/authority/worker-key"

# Folders that the services write: made here, because only root may give them away.
mkdir -p "$out/token" "$out/custodian-state" "$out/custodian-metrics" "$out/operator" "$out/backups"
for plane in key data worker; do mkdir -p "$out/socket-$plane"; done
if [ "$(id -u)" = 0 ]; then
  chown -R "$keyward:$keyward" "$out"
  chown -R "$postgres:$postgres" "$out/postgres"
  chown -R "$redis:$redis" "$out/redis"
  chown -R 0:0 "$out/authority"
fi
chmod 700 "$out"/*
# What the HSM was used for is no secret, and who collects it is another user.
chmod 755 "$out/custodian-metrics"
echo 'secrets and certificates are there'
