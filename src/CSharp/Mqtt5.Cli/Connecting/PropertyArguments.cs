using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>
/// The properties that <c>-D COMMAND IDENTIFIER VALUE</c> gives, by the packet that they are for. What may stand where
/// and in which range is what <see cref="Spec"/> says.
/// </summary>
internal sealed class PropertyArguments
{
    private static readonly Scope[] Commands =
        [Scope.Connect, Scope.Will, Scope.Publish, Scope.Subscribe, Scope.Unsubscribe, Scope.Disconnect];

    private readonly Dictionary<(Scope Command, PropertyId Property), string> values = [];
    private readonly Dictionary<Scope, List<UserProperty>> userProperties = [];

    /// <summary>The names of the commands that have properties.</summary>
    public static IEnumerable<string> CommandNames => Commands.Select(NameOf);

    /// <summary>The names of the properties that a client sends with a command; none if there is no such command.</summary>
    public static IEnumerable<string> NamesFor(string command) =>
        Array.Find(Commands, one => NameOf(one) == command) is var found && found == Scope.None
            ? []
            : Spec.properties.Where(property => IsFor(property, found)).Select(NameOf);

    /// <summary>True when no property was given.</summary>
    public bool IsEmpty => values.Count == 0 && userProperties.Count == 0;

    /// <summary>Reads the values of all <c>-D</c> together.</summary>
    /// <exception cref="UsageException">One of them is not what the standard allows.</exception>
    public static PropertyArguments Parse(IReadOnlyList<string> tokens)
    {
        var all = new PropertyArguments();
        var at = 0;

        while (at < tokens.Count)
        {
            if (tokens.Count - at < 3)
                throw new UsageException("-D: give a command, the name of a property and its value");

            var command = CommandOf(tokens[at]);
            var property = PropertyOf(tokens[at + 1], command);
            at += 2;

            if (property.Id == PropertyId.UserProperty)
            {
                if (tokens.Count - at < 2)
                    throw new UsageException("-D: a user-property has a name and a value");

                all.AddUserProperty(command, tokens[at], tokens[at + 1]);
                at += 2;
            }
            else
            {
                CheckValue(property, tokens[at]);

                if (!all.values.TryAdd((command, property.Id), tokens[at]))
                    throw new UsageException($"-D: {NameOf(property)} is given twice for {NameOf(command)}");

                at++;
            }
        }

        return all;
    }

    /// <summary>How many values a -D has, command and name included.</summary>
    public static int Length(string? name) => NameOf(Spec.property(PropertyId.UserProperty)) == name ? 4 : 3;

    /// <summary>The value of a property that is a number; null: not given.</summary>
    public uint? Number(Scope command, PropertyId property) =>
        Text(command, property) is { } text ? uint.Parse(text, CultureInfo.InvariantCulture) : null;

    /// <summary>The value of a property that is 0 or 1; null: not given.</summary>
    public bool? Switch(Scope command, PropertyId property) => Number(command, property) is { } number ? number == 1 : null;

    /// <summary>The value of a property that is a time in seconds; null: not given.</summary>
    public TimeSpan? Seconds(Scope command, PropertyId property) =>
        Number(command, property) is { } number ? DurationOf(number, property) : null;

    /// <summary>The value of a property as it was given; null: not given.</summary>
    public string? Text(Scope command, PropertyId property) => values.GetValueOrDefault((command, property));

    /// <summary>The value of a property that is bytes, which are those of the text in UTF-8; null: not given.</summary>
    public ReadOnlyMemory<byte>? Binary(Scope command, PropertyId property) =>
        Text(command, property) is { } text ? ByteText.ToBytes(text) : default(ReadOnlyMemory<byte>?);

    /// <summary>The User Properties for a packet, in order.</summary>
    public UserProperties UserProperties(Scope command) =>
        userProperties.TryGetValue(command, out var given) ? Mqtt5.UserProperties.Of(given) : Mqtt5.UserProperties.Empty;

    // The greatest Session Expiry Interval means for ever (section 3.1.2.11.2).
    private static TimeSpan DurationOf(uint seconds, PropertyId property) =>
        property == PropertyId.SessionExpiryInterval && seconds == uint.MaxValue
            ? Timeout.InfiniteTimeSpan
            : TimeSpan.FromSeconds(seconds);

    private static Scope CommandOf(string name) =>
        Array.Find(Commands, command => name.Equals(NameOf(command), StringComparison.OrdinalIgnoreCase)) is var found && found != Scope.None
            ? found
            : throw new UsageException($"-D: '{name}' is none of {string.Join(", ", Commands.Select(NameOf))}");

    private static PropertyRule PropertyOf(string name, Scope command)
    {
        var rule = Spec.properties.FirstOrDefault(property => NameOf(property) == name)
            ?? throw new UsageException($"-D: there is no property '{name}'; names are written as in content-type");

        return IsFor(rule, command)
            ? rule
            : throw new UsageException($"-D: a client does not send {name} with {NameOf(command)}");
    }

    private static bool IsFor(PropertyRule property, Scope command) =>
        property.Scopes.HasFlag(command) && Spec.forbiddenFrom(Direction.ClientToServer, command, property.Id).IsNone;

    private static void CheckValue(PropertyRule property, string value)
    {
        if (property.Maximum > 0)
        {
            if (!uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                || number < property.Minimum || number > property.Maximum)
            {
                throw new UsageException($"-D: {NameOf(property)} is a number from {property.Minimum} to {property.Maximum}, not '{value}'");
            }

            return;
        }

        if (property.Shape.IsBinaryData)
        {
            if (ByteText.ToBytes(value).Length > ushort.MaxValue)
                throw new UsageException($"-D: {NameOf(property)}: this is longer than {ushort.MaxValue} bytes");
        }
        else if (property.Shape.IsTopicNameString)
        {
            TextArgument.Topic($"-D: {NameOf(property)}", value);
        }
        else
        {
            TextArgument.Text($"-D: {NameOf(property)}", value);
        }
    }

    private static string NameOf(PropertyRule property) =>
        property.Title.Replace(' ', '-').ToLowerInvariant();

    private static string NameOf(Scope command) => command.ToString().ToLowerInvariant();

    private void AddUserProperty(Scope command, string name, string value)
    {
        if (!userProperties.TryGetValue(command, out var given))
            userProperties.Add(command, given = []);

        given.Add(UserProperty.Of(TextArgument.Text("-D: user-property", name)!, TextArgument.Text("-D: user-property", value)!));
    }
}
