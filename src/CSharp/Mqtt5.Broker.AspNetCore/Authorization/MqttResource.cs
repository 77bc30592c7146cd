namespace Mqtt5.AspNetCore;

/// <summary>What a policy decides about: the resource of <c>IAuthorizationService</c>.</summary>
/// <param name="Action">What the client wants to do.</param>
/// <param name="Topic">
/// The Topic Name, or with <see cref="MqttAction.Subscribe"/> the Topic Filter, without <c>$share</c> and the name of the group.
/// </param>
/// <param name="ClientId">The Client Identifier, which nothing verifies unless the broker binds it to the user.</param>
/// <param name="UserName">The name that the client was authenticated as; null: it is anonymous.</param>
/// <param name="ShareName">The name of the group of a shared subscription; null: it is none.</param>
public sealed record MqttResource(MqttAction Action, string Topic, string ClientId, string? UserName, string? ShareName = null);
