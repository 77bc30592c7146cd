namespace Mqtt5.Cli;

/// <summary>
/// The rules of an ACL file of mosquitto: <c>topic</c> lines for anonymous clients or for the <c>user</c> above, <c>pattern</c>
/// lines for all. As in mosquitto every subscription is accepted, and messages that a client may not read are kept from it.
/// Safe to use from many threads.
/// </summary>
internal sealed class MosquittoAcl : IMqttBrokerAuthorizer
{
    private MosquittoAcl(AccessGrant[] grants) => Grants = grants;

    /// <summary>The rules.</summary>
    public AccessGrant[] Grants { get; }

    /// <summary>Reads the text of such a file.</summary>
    /// <exception cref="FormatException">A line cannot be used; the message says which and why.</exception>
    public static MosquittoAcl Parse(string text)
    {
        var grants = new List<AccessGrant>();
        var subject = AccessSubject.Anonymous;

        foreach (var line in MosquittoLine.Parse("", text))
        {
            switch (line.Name)
            {
                case "user" when line.Value.Length > 0:
                    subject = AccessSubject.NewUser(line.Value);
                    break;
                case "topic" when line.Value.Length > 0:
                    // Here a percent sign is one of the topic.
                    grants.AddRange(Rules(line, subject, pattern => pattern.Replace("%", "%%", StringComparison.Ordinal)));
                    break;
                case "pattern" when line.Value.Length > 0:
                    grants.AddRange(Rules(line, AccessSubject.Everyone, Escape));
                    break;
                default:
                    throw new FormatException($"line {line.Number} is none of user NAME, topic [read|write|readwrite|deny] FILTER and pattern [read|write|readwrite|deny] FILTER");
            }
        }

        return new MosquittoAcl([.. grants]);
    }

    /// <inheritdoc/>
    public IMqttPermissions Authorize(MqttClientIdentity client)
    {
        var user = client.UserName is { } name
            ? Microsoft.FSharp.Core.FSharpValueOption<Utf8String>.Some(Utf8String.Of(name))
            : Microsoft.FSharp.Core.FSharpValueOption<Utf8String>.None;
        return client.IsInProcess ? MqttPermissions.All : new Permissions(Access.ForClient(ClientId.Of(client.ClientId), user, Grants));
    }

    private static IEnumerable<AccessGrant> Rules(MosquittoLine line, AccessSubject subject, Func<string, string> toPattern)
    {
        var end = line.Value.IndexOfAny([' ', '\t']);
        var (word, rest) = end < 0 ? ("", line.Value) : (line.Value[..end], line.Value[end..].Trim());

        AccessScope? scope = word switch
        {
            "read" => AccessScope.Subscribe,
            "write" => AccessScope.Publish,
            "readwrite" or "deny" or "" => AccessScope.All,
            _ => null,
        };

        // A filter may hold blanks.
        if (scope is null)
            (scope, rest) = (AccessScope.All, line.Value);

        if (TopicFilter.Create(rest) is { IsOk: false, ErrorValue: var fault })
            throw new FormatException($"line {line.Number}: {fault.Detail}");

        yield return new AccessGrant(subject, word != "deny", scope.Value, toPattern(rest));
    }

    // %c and %u are placeholders, every other percent sign is one of the topic.
    private static string Escape(string pattern) =>
        pattern.Replace("%", "%%", StringComparison.Ordinal).Replace("%%c", "%c", StringComparison.Ordinal).Replace("%%u", "%u", StringComparison.Ordinal);

    private sealed class Permissions(ClientAccess access) : IMqttPermissions
    {
        public bool MayPublish(TopicName topic) => Access.Decide(AccessRequest.NewPublish(topic), access);

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName topic) => Access.Decide(AccessRequest.NewReceive(topic), access);
    }
}
