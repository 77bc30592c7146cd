using System.Text.Json.Serialization;

namespace Mqtt5.Admin;

// Texts of peers are only ever values of JSON, with < > & ' and " escaped.
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(MqttBrokerOverview))]
[JsonSerializable(typeof(MqttClientInfo))]
[JsonSerializable(typeof(AdminPage<MqttClientInfo>))]
[JsonSerializable(typeof(AdminPage<MqttSubscriptionInfo>))]
[JsonSerializable(typeof(AdminPage<MqttSharedGroupInfo>))]
[JsonSerializable(typeof(AdminPage<MqttMessageInfo>))]
[JsonSerializable(typeof(AdminList<MqttListenerInfo>))]
[JsonSerializable(typeof(AdminList<MqttMessageInfo>))]
[JsonSerializable(typeof(MqttMessageInfo))]
[JsonSerializable(typeof(MqttDeliveryExplanation))]
[JsonSerializable(typeof(MqttDrops))]
[JsonSerializable(typeof(MqttBrokerEvent))]
[JsonSerializable(typeof(LimitsAnswer))]
[JsonSerializable(typeof(PublishRequest))]
[JsonSerializable(typeof(PublishAnswer))]
[JsonSerializable(typeof(HealthAnswer))]
[JsonSerializable(typeof(LoginRequest))]
[JsonSerializable(typeof(ProblemAnswer))]
[JsonSerializable(typeof(AdminList<MqttBrokerEvent>))]
[JsonSerializable(typeof(MeAnswer))]
[JsonSerializable(typeof(HistoryAnswer))]
[JsonSerializable(typeof(LiveAnswer))]
[JsonSerializable(typeof(RemovedAnswer))]
[JsonSerializable(typeof(ReloadAnswer))]
internal sealed partial class AdminJson : JsonSerializerContext;
