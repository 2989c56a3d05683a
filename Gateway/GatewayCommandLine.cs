using System.CommandLine;

namespace Fanfare.Gateway;

/// <summary>Raised when the program cannot start for a reason that its operator can mend; the message is one line for them.</summary>
internal sealed class GatewayStartException(string message, int exitCode = 1) : Exception(message)
{
    /// <summary>The exit code: 2 for a wrong command line, 1 for everything else.</summary>
    public int ExitCode { get; } = exitCode;
}

/// <summary>The command line: a few options with short names, and every setting of the configuration by its full one.</summary>
internal sealed class GatewayCommandLine
{
    private const int UsageExitCode = 2;

    private readonly Option<string[]> _template = new("--template")
    {
        Description = "A CloudFormation template (YAML or JSON) or a cdk.out folder that says what APIs there are. Repeatable.",
        HelpName = "FILE",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> _apiKey = new("--api-key")
    {
        Description = "The API key of the default API. Default: made once and kept in the data folder.",
        HelpName = "KEY",
    };

    private readonly Option<string?> _data = new("--data")
    {
        Description = "The folder that holds what must survive a restart. Default: ./.fanfare",
        HelpName = "DIR",
    };

    private readonly Option<string?> _urls = new("--urls")
    {
        Description = "The addresses to listen on, separated by semicolons. Default: http://localhost:8080",
        HelpName = "URLS",
    };

    private readonly Option<bool> _watch = new("--watch")
    {
        Description = "Loads changed handlers while running, and shows what they log: for writing them.",
    };

    private readonly RootCommand _command;
    private readonly IReadOnlyDictionary<Option<string?>, string> _options;
    private readonly IReadOnlyList<string> _sections;

    /// <summary>The command line of a program.</summary>
    /// <param name="program">What the program adds to the gateway's own options.</param>
    public GatewayCommandLine(GatewayProgram program)
    {
        _options = program.Options.ToDictionary(
            option => new Option<string?>(option.Name) { Description = option.Description, HelpName = option.ValueName },
            option => option.Setting);
        // Sections that a setting may be given from; anything else is a mistyped option.
        _sections = ["Fanfare", "Kestrel", "Logging", "ConnectionStrings", .. program.Sections];
        _command = new RootCommand(
            program.Description + "\n\n"
            + "Every setting can also be given as --Section:Key=value, such as --Fanfare:Limits:KeepAliveInterval=00:00:30,\n"
            + "in the environment as Section__Key, or in appsettings.json. docs/configuration.md lists them.")
        {
            _template, _apiKey, _data, _urls, _watch,
        };
        foreach (var option in _options.Keys)
        {
            _command.Add(option);
        }

        _command.TreatUnmatchedTokensAsErrors = false;
    }

    /// <summary>Answers <c>--help</c> and <c>--version</c>; returns whether one of them was asked for.</summary>
    public bool TryAnswer(string[] args)
    {
        var parsed = _command.Parse(args);
        if (parsed.Errors.Count > 0 || parsed.Action is null)
        {
            return false;
        }

        parsed.Invoke();
        return true;
    }

    /// <summary>Turns the command line into configuration settings, each <c>--Key=value</c>.</summary>
    /// <exception cref="GatewayStartException">An option is unknown or lacks its value.</exception>
    public string[] ToSettings(string[] args)
    {
        var parsed = _command.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            throw new GatewayStartException(parsed.Errors[0].Message + " See --help.", UsageExitCode);
        }

        var settings = new List<string>();
        Add(settings, "Fanfare:Data", parsed.GetValue(_data));
        Add(settings, "Fanfare:ApiKey", parsed.GetValue(_apiKey));
        Add(settings, "urls", parsed.GetValue(_urls));
        Add(settings, "Fanfare:Handlers:Watch", parsed.GetValue(_watch) ? bool.TrueString : null);
        foreach (var (option, setting) in _options)
        {
            Add(settings, setting, parsed.GetValue(option));
        }

        var templates = parsed.GetValue(_template) ?? [];
        for (var i = 0; i < templates.Length; i++)
        {
            Add(settings, $"Fanfare:Templates:{i}", templates[i]);
        }

        AddFullNames(settings, parsed.UnmatchedTokens);
        return [.. settings];
    }

    private static void Add(List<string> settings, string key, string? value)
    {
        if (value is not null)
        {
            settings.Add($"--{key}={value}");
        }
    }

    private void AddFullNames(List<string> settings, IReadOnlyList<string> tokens)
    {
        for (var i = 0; i < tokens.Count; i++)
        {
            var token = tokens[i];
            var equals = token.IndexOf('=');
            var name = equals < 0 ? token : token[..equals];
            if (!IsSetting(name))
            {
                throw new GatewayStartException($"Unknown option '{name}'. See --help.", UsageExitCode);
            }

            if (equals >= 0)
            {
                settings.Add(token);
            }
            else if (i + 1 < tokens.Count && !tokens[i + 1].StartsWith("--", StringComparison.Ordinal))
            {
                settings.Add($"{token}={tokens[++i]}");
            }
            else
            {
                throw new GatewayStartException($"The setting '{name}' lacks its value. See --help.", UsageExitCode);
            }
        }
    }

    private bool IsSetting(string name) =>
        _sections.Any(section => name.StartsWith($"--{section}:", StringComparison.OrdinalIgnoreCase));
}
