namespace Mqtt5.Cli;

/// <summary>Maps the client's option names to those of the command line.</summary>
internal static class ClientOptionNames
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["KeepAlive"] = "-k",
        ["ReceiveMaximum"] = "-D connect receive-maximum",
        ["MaximumPacketSize"] = "--max-packet-bytes",
        ["TopicAliasMaximum"] = "-D connect topic-alias-maximum",
        ["SessionExpiry"] = "-x",
        ["Password"] = "--pw",
        ["UserName"] = "--username",
    };

    /// <summary>Replaces the client's option names in a validation message by those of the command line.</summary>
    public static string Describe(ArgumentException exception)
    {
        var message = TextArgument.WithoutParameter(exception);
        return exception.ParamName is { } parameter && Names.TryGetValue(parameter.Split('.')[^1], out var option) ? $"{option}: {message}" : message;
    }
}
