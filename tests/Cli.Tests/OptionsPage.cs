using System.Collections;
using System.CommandLine;
using System.CommandLine.Help;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// Makes docs/options.md: the options of client, broker and command with their defaults, from the code and its documentation.
internal static partial class OptionsPage
{
    private static readonly (string Heading, Type[] Types)[] Classes =
    [
        ("Client", [typeof(MqttClientOptions), typeof(MqttReconnectOptions), typeof(MqttQueueOptions), typeof(MqttTlsOptions), typeof(MqttWebSocketOptions), typeof(MqttSubscribeOptions)]),
        ("Broker", [typeof(MqttBrokerOptions), typeof(MqttBrokerLimits), typeof(MqttServerTlsOptions)]),
    ];

    public static string Make()
    {
        var page = new StringBuilder();
        page.Append("# Options and defaults\n\nEvery option of client, broker and command. A test makes this page from the code: after a change of an option, ")
            .Append("`MQTT5_WRITE_PAGES=1 dotnet tests/Cli.Tests/bin/Debug/net10.0/Cli.Tests.dll -class \"*OptionsPageTests\"` writes it anew.\n\n")
            .Append("The guides say what the options are for: [client](client.md), [broker](broker.md), [security](security.md), [command](command.md).\n");

        foreach (var (heading, types) in Classes)
        {
            page.Append(CultureInfo.InvariantCulture, $"\n## {heading}\n");

            if (heading == "Broker")
            {
                page.Append("\n`mqtt5 broker` sets listeners, passwords, rules, what web pages may do, the level of the log and the limits. ")
                    .Append("The other properties can be set in a process of your own only.\n");
            }

            foreach (var type in types)
                Append(page, type);
        }

        page.Append("\n## Command\n\nA key of the configuration file of `broker` is the name of its option without dashes. ")
            .Append("An option without a default is off, or absent, unless it is given.\n\n### Connecting\n\n")
            .Append("`pub`, `sub`, `rr`, `conn`, `shell`, `bench`, `probe` and `verify` take these.\n\n");
        var shared = OptionsOf("conn").Where(option => option.Name is not "--embedded" and not "--json").ToArray();
        Append(page, shared);
        var names = shared.Select(option => option.Name).ToHashSet();

        foreach (var verb in CommandLineApplication.Verbs)
        {
            var options = OptionsOf(verb.Name).ToArray();
            var shares = options.Count(option => names.Contains(option.Name)) > shared.Length / 2;
            Option[] own = [.. options.Where(option => !shares || !names.Contains(option.Name))];

            if (own.Length == 0)
                continue;

            page.Append(CultureInfo.InvariantCulture, $"\n### {verb.Name}\n\n");
            Append(page, own);
        }

        return page.ToString();
    }

    private static IEnumerable<Option> OptionsOf(string verb) =>
        CommandLineApplication.Verbs.Single(one => one.Name == verb).Create(new Terminal(() => Stream.Null, true, TextWriter.Null, TextWriter.Null))
            .Options.Where(option => option is not HelpOption && !option.Hidden);

    private static void Append(StringBuilder page, IReadOnlyList<Option> options)
    {
        page.Append("| Option | What it does |\n|---|---|\n");

        foreach (var option in options)
        {
            var names = option.Aliases.Append(option.Name).Distinct().OrderBy(name => name.Length).ThenBy(name => name, StringComparer.Ordinal);
            page.Append(CultureInfo.InvariantCulture, $"| {string.Join(", ", names.Select(name => $"`{name}`"))} | {Cell(option.Description ?? "")} |\n");
        }
    }

    private static void Append(StringBuilder page, Type type)
    {
        var documentation = XDocument.Load(Path.ChangeExtension(type.Assembly.Location, ".xml"));
        var instance = Activator.CreateInstance(type)!;
        var keys = type == typeof(MqttBrokerLimits) ? LimitKeys() : null;
        page.Append(CultureInfo.InvariantCulture, $"\n### {type.Name}\n\n| Property |{(keys is null ? "" : " Option, key and tag | `LimitName` |")} Type | Default | What it does |\n|---|{(keys is null ? "" : "---|---|")}---|---|---|\n");

        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).OrderBy(property => property.MetadataToken))
        {
            var text = documentation.Descendants("member").Single(member => member.Attribute("name")!.Value == $"P:{type.FullName}.{property.Name}");
            var isRequired = property.IsDefined(typeof(System.Runtime.CompilerServices.RequiredMemberAttribute));
            page.Append(CultureInfo.InvariantCulture,
                $"| `{property.Name}` |{(keys is null ? "" : $" `{LimitTable.Of(keys[property.Name]).Key}` | `{keys[property.Name]}` |")} `{NameOf(property)}` | {(isRequired ? "required" : Show(property.GetValue(instance)))} | {Cell(Text(text.Element("summary")!))} |\n");
        }
    }

    // Which limit each property is: the one that changes it.
    private static Dictionary<string, LimitName> LimitKeys() =>
        LimitTable.All.ToDictionary(
            rule =>
            {
                var (before, after) = (new MqttBrokerLimits(), new MqttBrokerLimits());
                after.Set(rule.Name, rule.Default == rule.Least ? rule.Least + 1 : rule.Least);
                return typeof(MqttBrokerLimits).GetProperties().Single(property => !Equals(property.GetValue(before), property.GetValue(after))).Name;
            },
            rule => rule.Name);

    private static string NameOf(PropertyInfo property)
    {
        var nullable = new NullabilityInfoContext().Create(property).ReadState == NullabilityState.Nullable && Nullable.GetUnderlyingType(property.PropertyType) is null;
        return NameOf(property.PropertyType) + (nullable ? "?" : "");
    }

    private static string NameOf(Type type) =>
        Nullable.GetUnderlyingType(type) is { } value ? NameOf(value) + "?"
        : type.IsGenericType ? $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>"
        : type == typeof(int) ? "int"
        : type == typeof(long) ? "long"
        : type == typeof(uint) ? "uint"
        : type == typeof(bool) ? "bool"
        : type == typeof(double) ? "double"
        : type == typeof(string) ? "string"
        : type.Name;

    private static string Show(object? value) =>
        value switch
        {
            null => "null",
            bool one => one ? "true" : "false",
            TimeSpan time => Show(time),
            Delegate => "a function",
            string text => $"`{text}`",
            int or long or double => ((IFormattable)value).ToString(value is double ? "0.##" : "N0", CultureInfo.InvariantCulture),
            Enum one => $"`{one}`",
            IEnumerable<string> { } texts when texts.Any() => string.Join(", ", texts.Select(text => $"`{text}`")),
            IEnumerable => "empty",
            _ when value.GetType().Assembly == typeof(MqttClient).Assembly || value.GetType().Assembly == typeof(MqttBroker).Assembly => "see below",
            _ when value is TimeProvider => "the system's",
            _ => $"`{value}`",
        };

    private static string Show(TimeSpan time) =>
        time == Timeout.InfiniteTimeSpan ? "no limit"
        : time == TimeSpan.Zero ? "0"
        : time.TotalDays >= 1 && time.TotalDays == Math.Floor(time.TotalDays) ? $"{time.TotalDays} days"
        : time.TotalHours >= 1 ? $"{time.TotalHours} h"
        : $"{time.TotalSeconds} s";

    // The text of a documentation comment; its references become code.
    private static string Text(XElement summary) =>
        string.Concat(summary.Nodes().Select(node => node switch
        {
            XText text => text.Value,
            XElement { Name.LocalName: "c" } code => $"`{code.Value}`",
            XElement element when element.Attribute("cref") is { } reference => $"`{Reference(reference.Value)}`",
            XElement element when element.Attribute("langword") is { } word => $"`{word.Value}`",
            XElement element => Text(element),
            _ => "",
        }));

    private static string Reference(string reference)
    {
        var parts = reference[2..].Split('(')[0].Split('.');
        return reference[0] == 'F' ? string.Join('.', parts[^2..]) : parts[^1];
    }

    private static string Cell(string text) =>
        Blanks().Replace(text.Trim(), " ").Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
