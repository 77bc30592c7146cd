using Microsoft.FSharp.Core;

namespace Mqtt5;

/// <summary>
/// Says what clients may do by rules, such as
/// <code>
/// everyone
///   allow subscribe news/#
/// user anna
///   allow all home/#
///   deny publish home/door
/// </code>
/// A rule is for the subject above it: <c>everyone</c>, <c>anonymous</c>, <c>user NAME</c> or <c>client NAME</c>. In a
/// filter, <c>%c</c> stands for the Client Identifier, <c>%u</c> for the User Name and <c>%%</c> for a percent sign; any
/// other placeholder is an error. A <c>#</c> after a blank begins a comment; a name that contains one, or has leading or
/// trailing blanks, must be quoted. What no rule allows is denied, and a deny rule overrides every allow rule. A rule for a
/// user applies only to clients whose user name an authenticator accepted. In-process clients may do everything.
/// </summary>
public sealed class MqttAccessRules : IMqttBrokerAuthorizer
{
    private readonly AccessGrant[] grants;

    private MqttAccessRules(AccessGrant[] grants) => this.grants = grants;

    /// <summary>Reads rules from text.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The rules.</returns>
    /// <exception cref="FormatException">The text is no list of rules; the message says where and why.</exception>
    public static MqttAccessRules Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var parsed = AccessFile.Parse(text);
        return parsed.IsOk ? new MqttAccessRules(parsed.ResultValue) : throw new FormatException(parsed.ErrorValue.ToString());
    }

    /// <summary>Reads rules from a file in UTF-8.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The rules.</returns>
    /// <exception cref="FormatException">The file is no list of rules; the message says where and why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static MqttAccessRules Load(string path) => Parse(File.ReadAllText(path));

    /// <inheritdoc/>
    public IMqttPermissions Authorize(MqttClientIdentity client)
    {
        ArgumentNullException.ThrowIfNull(client);

        if (client.IsInProcess)
            return MqttPermissions.All;

        var user = client.UserName is { } name
            ? FSharpValueOption<Utf8String>.Some(Utf8String.Of(name))
            : FSharpValueOption<Utf8String>.None;
        return new Permissions(Access.ForClient(ClientId.Of(client.ClientId), user, grants));
    }

    private sealed class Permissions(ClientAccess access) : IMqttPermissions
    {
        private readonly bool subscriptionsSuffice = access.SubscriptionsSuffice;

        public bool MayPublish(TopicName topic) => Access.Decide(AccessRequest.NewPublish(topic), access);

        public bool MaySubscribe(TopicFilter filter) => Access.Decide(AccessRequest.NewSubscribe(filter), access);

        public bool MayReceive(TopicName topic) => subscriptionsSuffice || Access.Decide(AccessRequest.NewReceive(topic), access);
    }
}
