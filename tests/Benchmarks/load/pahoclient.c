// A client of Eclipse Paho in C that sends or receives a few messages, to compare the cost of ours with:
// pahoclient PORT none|send|receive. It goes on until it is ended.
#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int connected;

static void fail(void *context, MQTTAsync_failureData5 *response) {
  (void)context;
  fprintf(stderr, "failed: %d %s\n", response->code, response->message ? response->message : "");
  exit(1);
}

static void succeed(void *context, MQTTAsync_successData5 *response) {
  (void)context;
  (void)response;
  connected = 1;
}

static int arrived(void *context, char *topic, int length, MQTTAsync_message *message) {
  (void)context;
  (void)length;
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;

  char uri[64];
  snprintf(uri, sizeof uri, "tcp://127.0.0.1:%s", argv[1]);
  MQTTAsync client;
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
  if (MQTTAsync_createWithOptions(&client, uri, "paho", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create)) return 1;
  MQTTAsync_setCallbacks(client, NULL, NULL, arrived, NULL);
  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
  options.cleanstart = 1;
  options.onSuccess5 = succeed;
  options.onFailure5 = fail;
  if (MQTTAsync_connect(client, &options)) return 1;

  while (!connected) usleep(1000);

  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.onFailure5 = fail;

  if (!strcmp(argv[2], "receive") && MQTTAsync_subscribe(client, "steady/in", 0, &response)) return 1;

  while (1) {
    usleep(100 * 1000);

    if (strcmp(argv[2], "send")) continue;

    if (MQTTAsync_send(client, "steady/out", 16, "0123456789abcdef", 1, 0, &response)) return 1;
  }
}
