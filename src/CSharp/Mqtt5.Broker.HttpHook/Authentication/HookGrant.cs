namespace Mqtt5.HttpHook.Authentication;

// What the authenticator leaves to the authorizer; without rules, each topic is asked about.
internal sealed record HookGrant(MqttAccessRules? Rules);
