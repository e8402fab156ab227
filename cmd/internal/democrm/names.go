// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

// The words the seed draws from. Every person made of them is invented.
var (
	firstNames = []string{
		"Aarav", "Aditi", "Akash", "Alok", "Amara", "Anil", "Anjali", "Arjun", "Bhavna", "Chetan", "Deepa", "Dev",
		"Esha", "Farah", "Gaurav", "Hari", "Indira", "Ira", "Jaya", "Jatin", "Kavya", "Kiran", "Lakshmi", "Madhav",
		"Maya", "Nakul", "Neha", "Nikhil", "Om", "Pallavi", "Pranav", "Priya", "Rahul", "Reena", "Rohan", "Sagar",
		"Sana", "Shreya", "Sunil", "Tara", "Uday", "Usha", "Varun", "Vidya", "Yamini", "Yash", "Zara", "Zubin",
	}
	lastNames = []string{
		"Agarwal", "Bansal", "Basu", "Chandra", "Chopra", "Das", "Dutta", "Fernandes", "Gandhi", "Ghosh", "Gokhale",
		"Gupta", "Iyer", "Jain", "Kale", "Kapoor", "Khan", "Kulkarni", "Kumar", "Malhotra", "Mehta", "Mishra", "Naidu",
		"Patel", "Patil", "Prasad", "Raman", "Reddy", "Roy", "Saxena", "Sen", "Shah", "Sharma", "Shetty", "Singh",
		"Sinha", "Soni", "Srinivasan", "Tiwari", "Varma", "Vora", "Yadav",
	}
	cities = []struct{ name, state, zip string }{
		{"Mumbai", "Maharashtra", "4000"},
		{"Pune", "Maharashtra", "4110"},
		{"New Delhi", "Delhi", "1100"},
		{"Gurugram", "Haryana", "1220"},
		{"Bengaluru", "Karnataka", "5600"},
		{"Mysuru", "Karnataka", "5700"},
		{"Chennai", "Tamil Nadu", "6000"},
		{"Hyderabad", "Telangana", "5000"},
		{"Kochi", "Kerala", "6820"},
		{"Ahmedabad", "Gujarat", "3800"},
		{"Jaipur", "Rajasthan", "3020"},
		{"Kolkata", "West Bengal", "7000"},
	}
	streets       = []string{"Lake Road", "Station Road", "Temple Street", "Hill View", "Market Lane", "Garden Avenue", "River Side", "Park Street"}
	companyFirst  = []string{"Blue", "Coral", "Golden", "Green", "Lotus", "Monsoon", "Northern", "Peacock", "Silver", "Sunrise"}
	companySecond = []string{"Foods", "Infotech", "Textiles", "Logistics", "Motors", "Traders", "Pharma", "Builders", "Energy", "Studios"}
	jobs          = []string{"Engineer", "Teacher", "Accountant", "Shop Owner", "Doctor", "Designer", "Consultant", "Plant Manager"}
	occupations   = []string{"Salaried", "Self Employed", "Business Owner", "Retired", "Student"}
	languages     = []string{"English", "Hindi", "Marathi", "Kannada", "Tamil", "Bengali"}
	sources       = []string{"Organic Search", "Pay per Click Ads", "Referral Sites", "Direct Traffic", "Social Media", "Inbound Phone Call", "Walk In"}
	mediums       = []string{"google", "facebook", "newsletter", "partner", "radio"}
	campaigns     = []string{"Monsoon Home Loans", "Diwali Gold", "New Year Savings", "Campus Drive"}
	loanProducts  = []string{"Home Loan", "Car Loan", "Gold Loan", "Business Loan", "Term Insurance", "Health Insurance"}
	noteTexts     = []string{
		"Asked for a call after six.", "Wants to compare interest rates before deciding.",
		"Met at the branch, documents to follow.", "Prefers e-mail.", "Spouse is a co-applicant.",
	}
)
