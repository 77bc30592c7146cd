using System.Globalization;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>The commands that start a client program: one for each role, and one for all others.</summary>
internal sealed class ClientCommands
{
    private readonly Dictionary<ClientRole, IReadOnlyList<string>> commands = [];
    private readonly IReadOnlyList<string> forAll;

    /// <param name="forAll">The command and its arguments for the roles without one; empty: there is none.</param>
    public ClientCommands(IReadOnlyList<string> forAll) => this.forAll = forAll;

    /// <summary>Whether there is any command.</summary>
    public bool IsEmpty => forAll.Count == 0 && commands.Count == 0;

    /// <summary>What a report calls the client: the program of its first command.</summary>
    public string Program
    {
        get
        {
            var first = forAll.Count > 0 ? forAll : commands.OrderBy(one => one.Key).First().Value;
            return Path.GetFileName(first[0]);
        }
    }

    /// <summary>Sets the command of a role.</summary>
    /// <exception cref="UsageException">A quote is not closed, or there is no command.</exception>
    public void Add(ClientRole role, string command, string where)
    {
        var words = Split(command, where);

        if (words.Count == 0)
            throw new UsageException($"{where}: the command is missing");

        commands[role] = words;
    }

    /// <summary>Reads commands from a file with a line for each, as <c>ROLE: COMMAND</c>.</summary>
    /// <exception cref="UsageException">A line cannot be read.</exception>
    public void Read(string path)
    {
        var number = 0;

        foreach (var line in File.ReadLines(path))
        {
            number++;
            var where = string.Create(CultureInfo.InvariantCulture, $"{path}, line {number}");

            if (line.Trim() is not { Length: > 0 } text || text[0] == '#')
                continue;

            if (text.Split(':', 2) is not [var name, var command] || RoleOf(name.Trim()) is not { } role)
                throw new UsageException($"{where}: a line is ROLE: COMMAND, with one of the roles {string.Join(", ", ClientTaskModule.roles.Select(one => one.Item2))}");

            Add(role, command, where);
        }
    }

    /// <summary>The command of a role, that of another which stands in for it, or that for all; null: there is none.</summary>
    public IReadOnlyList<string>? Of(ClientRole role)
    {
        if (commands.TryGetValue(role, out var own))
            return own;

        var instead = ClientTaskModule.InsteadOf(role);

        return instead.IsSome && commands.TryGetValue(instead.Value, out var other) ? other
            : forAll.Count > 0 ? forAll
            : null;
    }

    /// <summary>The values of all placeholders for a task with a server of a version on this port.</summary>
    public static Dictionary<string, string> ValuesOf(ClientTask task, ProtocolVersion version, int port)
    {
        var values = ClientTaskModule.placeholders.ToDictionary(name => name, name => ClientTaskModule.ValueOf(task, name));
        var text = port.ToString(CultureInfo.InvariantCulture);
        values["role"] = ClientTaskModule.NameOf(task.Role);
        values["version"] = version.IsV5 ? "5" : version.IsV311 ? "311" : "31";
        values["host"] = "127.0.0.1";
        values["port"] = text;
        values["url"] = task.Role == ClientRole.WebSocket ? $"ws://127.0.0.1:{text}/mqtt" : $"mqtt://127.0.0.1:{text}";
        return values;
    }

    /// <summary>Puts values in the places of <c>{name}</c>.</summary>
    public static string Fill(string text, IReadOnlyDictionary<string, string> values) =>
        values.Aggregate(text, (filled, one) => filled.Replace($"{{{one.Key}}}", one.Value, StringComparison.Ordinal));

    private static ClientRole? RoleOf(string name)
    {
        foreach (var (role, known, _) in ClientTaskModule.roles)
        {
            if (known == name)
                return role;
        }

        return null;
    }

    // Words as a shell splits them: blanks part them unless they stand in quotes or behind a backslash.
    private static List<string> Split(string text, string where)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var isWord = false;
        var quote = '\0';

        for (var index = 0; index < text.Length; index++)
        {
            var one = text[index];

            if (quote != '\0' ? one == quote : one is '"' or '\'')
            {
                quote = quote == '\0' ? one : '\0';
                isWord = true;
            }
            else if (one == '\\' && quote != '\'' && index + 1 < text.Length && (quote == '\0' || text[index + 1] is '"' or '\\'))
            {
                word.Append(text[++index]);
                isWord = true;
            }
            else if (char.IsWhiteSpace(one) && quote == '\0')
            {
                if (isWord)
                    words.Add(word.ToString());

                word.Clear();
                isWord = false;
            }
            else
            {
                word.Append(one);
                isWord = true;
            }
        }

        if (quote != '\0')
            throw new UsageException($"{where}: a quote is not closed");

        if (isWord)
            words.Add(word.ToString());

        return words;
    }
}
