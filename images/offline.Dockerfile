# Stand-ins for the services' images, made by images/offline.sh; they start as the images they stand in for do.
FROM plugbay-offline-services AS redis
WORKDIR /data
CMD ["redis-server"]

FROM plugbay-offline-services AS nginx
RUN ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]

FROM plugbay-offline-services AS mongo
RUN --mount=type=bind,from=wheels,target=/wheels \
    PYTHONPATH=$(echo /wheels/pip-*.whl) python3 -m pip install --quiet --no-index --find-links /wheels \
    --root-user-action ignore --break-system-packages SecantusDB
COPY offline-mongod.py /usr/local/bin/mongod
RUN install -d -o 999 -g 999 /data/db
WORKDIR /data/db
CMD ["mongod"]
