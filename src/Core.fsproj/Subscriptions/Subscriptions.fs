namespace Mqtt5
